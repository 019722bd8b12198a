"""Every benchmark can be started, and a run of all of them keeps what a failing one does not reach."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["training", "reading", "start", "threads", "scoring", "memory", "pretraining", "latency", "serving"]


@pytest.mark.parametrize("name", [*SCRIPTS, "step_profile"])
def test_a_script_says_how_it_is_called(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
    assert end.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out


def run_all(folder, failing, *names):
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/bash\necho "table of $2 {failing}"\n[ "$2" != benchmarks.{failing} ]\n')
    python.chmod(0o755)
    return subprocess.run(["bash", folder / "benchmarks" / "run.sh", *names], capture_output=True, text=True)


def test_a_failing_benchmark_leaves_the_tables_of_the_others_and_its_own_last_one(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "run.sh", tmp_path / "benchmarks")
    results = tmp_path / "benchmarks" / "RESULTS.md"
    assert run_all(tmp_path, "none").returncode == 0
    assert [line for line in results.read_text().splitlines() if line.startswith("table")] == [
        f"table of benchmarks.{name} none" for name in SCRIPTS
    ]
    done = run_all(tmp_path, "scoring")
    assert done.returncode == 1 and "scoring" in done.stderr
    assert [line.split()[-1] for line in results.read_text().splitlines() if line.startswith("table")] == [
        "none" if name == "scoring" else "scoring" for name in SCRIPTS
    ]
    assert run_all(tmp_path, "none", "scoring").returncode == 0
    assert "table of benchmarks.scoring none" in results.read_text()
