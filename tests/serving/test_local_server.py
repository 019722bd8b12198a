"""The script serves what it is given, says when it is ready, and tells what is wrong with its settings."""

import contextlib
import runpy
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from serving.remote.ranking import open_model

SCRIPT = "serving/local_server.py"


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_script_announces_itself_answers_and_stops_on_a_signal(contract_sources, stop):
    base = contract_sources[0].base_path
    command = [sys.executable, SCRIPT, "--model", f"toy={base}", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert "ready at " in line and " for toy." in line
        url, grpc_url = [word for word in line.split() if "://" in word]
        assert httpx.post(f"{url}toy:predict", json={"instances": [1.0]}).json() == {"predictions": [2.5]}
        with contextlib.closing(open_model(grpc_url, "toy")) as model:
            assert model.predict("serving_default", {"x": [1.0]}) == {"y": [2.5]}
        process.send_signal(stop)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.splitlines() == [
        "Model toy version 2 is available.",
        "Model toy version 2 is unloaded.",
    ]


def test_settings_that_cannot_be_used_are_told_with_exit_code_2(tmp_path, contract_sources):
    base = contract_sources[0].base_path
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = [
            ([], "--model NAME=PATH"),
            (["--model", "toy"], "must read NAME=PATH"),
            (["--model", f"toy={tmp_path}"], "has no version under"),
            (["--models-config", str(tmp_path / "none")], "cannot be used"),
            (["--model", f"toy={base}", "--model", f"toy={tmp_path}"], "a name of its own, got toy, toy"),
            (["--model", f"toy={base}", "--poll-seconds", "0"], "--poll-seconds must be > 0, got 0"),
            (["--model", f"toy={base}", "--port", "70000"], "cannot listen on"),
            (["--model", f"toy={base}", "--port", str(taken.getsockname()[1])], "cannot listen on"),
        ]
        processes = [run(*arguments) for arguments, _ in cases]
    for process, (_, message) in zip(processes, cases, strict=True):
        assert process.returncode == 2
        assert process.stderr.startswith("error: ") and message in process.stderr


def test_model_that_does_not_load_is_told_with_exit_code_2(tmp_path, monkeypatch, capsys):
    (tmp_path / "4").mkdir()
    monkeypatch.syspath_prepend("serving")  # here, not as a process, which would import TensorFlow again
    assert runpy.run_path(SCRIPT)["main"](["--model", f"toy={tmp_path}", "--port", "0"]) == 2
    printed, errors = capsys.readouterr()
    assert f"error: model 'toy' has no version under {tmp_path} that loads; version 4: " in errors
    assert "ready" not in printed


def test_help_says_what_it_is_not_for():
    assert "Not for production" in run("--help").stdout
