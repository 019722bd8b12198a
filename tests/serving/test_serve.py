"""The script takes the real server where it is, and says which server it starts."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from serving.contract.requests import MODEL


@pytest.fixture(scope="module")
def folder(contract_sources, tmp_path_factory):
    """An exported model as the script finds it, whose versions are those of the contract."""
    base = contract_sources[0].base_path
    served = tmp_path_factory.mktemp("export") / MODEL
    served.symlink_to(base)
    files = served.with_name(f"{MODEL}.serving")
    files.mkdir()
    text = (base.parent / "models.config").read_text().replace(f'"{base}"', f'"/models/{MODEL}"')
    (files / "models.config").write_text(text)
    (files / "docker-compose.yml").write_text("services:\n  x:\n    image: tensorflow/serving:2.15.1\n")
    return served


def write_command(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:/usr/bin:/bin"}


def start(folder, environment):
    command = ["bash", "serving/serve.sh", str(folder), "0", "0"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_binary_gets_the_paths_of_this_machine(folder, tmp_path):
    show = 'for f in "$@"; do case $f in --model_config_file=*) cat "${f#*=}";; *) echo "$f";; esac; done'
    process = start(folder, write_command(tmp_path / "bin", "tensorflow_model_server", show))
    assert process.returncode == 0
    assert process.stdout.startswith(f"TensorFlow Serving: {tmp_path}/bin/tensorflow_model_server, ")
    assert f'base_path: "{folder}"' in process.stdout
    assert "all addresses of this machine" in process.stdout  # the binary has no flag for another
    assert "--allow_version_labels_for_unavailable_models=true" in process.stdout


def test_copy_for_the_binary_follows_the_labels_and_goes_with_it(folder, tmp_path):
    own = tmp_path / MODEL
    shutil.copytree(folder.with_name(f"{MODEL}.serving"), own.with_name(f"{MODEL}.serving"))
    own.symlink_to(folder)
    wait = 'for f in "$@"; do case $f in --model_config_file=*) file=${f#*=}; echo "$file";; esac; done; '
    wait += 'until grep -q "value: 7" "$file"; do sleep 0.1; done; cat "$file"'
    environment = write_command(tmp_path / "bin", "tensorflow_model_server", wait)
    command = ["bash", "serving/serve.sh", str(own), "0", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        _, _, third = (server.stdout.readline() for _ in range(3))
        copy = Path(third.strip())
        config = own.with_name(f"{MODEL}.serving") / "models.config"
        config.write_text(config.read_text().replace("value: 2", "value: 7"))
        followed, _ = server.communicate(timeout=20)
    assert server.returncode == 0
    assert followed == config.read_text().replace(f"/models/{MODEL}", str(own))
    wait_until(lambda: not copy.parent.exists())


def test_docker_mounts_the_versions(folder, tmp_path):
    process = start(folder, write_command(tmp_path / "bin", "docker", 'echo "$@"'))
    assert "TensorFlow Serving in Docker: tensorflow/serving:2.15.1" in process.stdout
    assert f"-v {folder}:/models/{MODEL}:ro" in process.stdout
    assert "--init --entrypoint tensorflow_model_server" in process.stdout and "--rest_api_port=8501" in process.stdout


def test_folder_may_end_with_a_slash(folder, tmp_path):
    process = start(f"{folder}/", write_command(tmp_path / "bin", "docker", 'echo "$@"'))
    assert f"-v {folder}:/models/{MODEL}:ro" in process.stdout


def wait_until(is_so):
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ask_label(url):
    """Returns what the version with the label `stable` answers."""
    return httpx.post(f"{url}{MODEL}/labels/stable:predict", json={"instances": [1.0]}).json()["predictions"][0]


def move_label(folder, url):
    """Gives the label `stable` to version 2, and returns what is answered once that has come about."""
    config = folder.with_name(f"{MODEL}.serving") / "models.config"
    config.write_text(config.read_text().replace('key: "stable" value: 1', 'key: "stable" value: 2'))
    wait_until(lambda: ask_label(url) != 1.5)
    return ask_label(url)


def test_local_server_is_named_for_what_it_is_and_follows_the_labels(folder, tmp_path):
    environment = write_command(tmp_path / "bin", "docker", "exit 1")
    command = ["bash", "serving/serve.sh", str(folder), "0", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        lines = [server.stdout.readline(), server.stdout.readline()]
        url = next(word for word in lines[1].split() if word.startswith("http://"))
        first, second = ask_label(url), move_label(folder, url)
        server.terminate()
        server.communicate(timeout=60)
    assert "local development server, not for production" in lines[0]
    assert "ready at http://127.0.0.1:" in lines[1] and "grpc://127.0.0.1:" in lines[1]
    assert (first, second) == (1.5, 2.5)


def test_folder_without_labels_is_told(tmp_path):
    process = start(tmp_path / "none", dict(os.environ))
    assert process.returncode == 2 and "run pipelines/export.py first" in process.stderr
