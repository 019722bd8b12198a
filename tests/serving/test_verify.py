"""The script says what agrees, and its exit code what came of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from serving.contract.requests import MODEL


def run(*arguments):
    return subprocess.run([sys.executable, "serving/verify.py", *arguments], capture_output=True, text=True, timeout=60)


def test_contract_is_replayed(contract_url):
    process = run("--contract", contract_url)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == f"{contract_url}: 130 of 130 requests agree.\n"


def write_bundle(folder, **answer):
    extra = folder / MODEL / "2" / "assets.extra"
    extra.mkdir(parents=True)
    line = {"name": "halves", "signature_name": "serving_default", "inputs": {"x": [1.0, 3.0]}, **answer}
    (extra / "golden_requests.jsonl").write_text(json.dumps(line) + "\n")
    return str(folder / MODEL)


def test_bundle_that_agrees_gives_percentiles(contract_url, tmp_path):
    process = run(contract_url, "--bundle", write_bundle(tmp_path, outputs={"y": [2.5, 3.5]}))
    assert (process.returncode, process.stderr) == (0, "")
    first, second = process.stdout.splitlines()
    assert first == f"{contract_url}, contract 2: 1 of 1 requests agree."
    assert second.startswith("  p50 ")


def test_bundle_that_differs_is_told_with_exit_code_1(contract_url, tmp_path):
    process = run(contract_url, "--label", "stable", "--bundle", write_bundle(tmp_path, outputs={"y": [2.5, 3.5]}))
    assert process.returncode == 1
    assert process.stderr == "  halves: `y` at [0] is 1.5 instead of 2.5\n"
    assert "contract stable: 0 of 1 requests agree." in process.stdout


def test_what_is_wrong_is_told_with_exit_code_2(tmp_path):
    bundle = Path(write_bundle(tmp_path / "a", outputs={}), "2")
    shutil.copytree(bundle, tmp_path / "copy")
    damaged = Path(write_bundle(tmp_path / "b", outputs={}), "2")
    (damaged / "assets.extra" / "golden_requests.jsonl").write_text('{"name": "hal')
    for arguments, message in [
        (["http://127.0.0.1:1", "--bundle", str(tmp_path / "copy")], "is not named by the number of its version"),
        (["http://127.0.0.1:1", "--bundle", str(damaged)], "golden_requests.jsonl is damaged"),
        ([], "give the URL of a server"),
        (["http://127.0.0.1:1", "--bundle", str(tmp_path / "none")], "holds no version with"),
        (["--contract", "http://127.0.0.1:1"], "cannot be reached"),
    ]:
        process = run(*arguments)
        assert process.returncode == 2
        assert message in process.stderr and "Traceback" not in process.stderr
