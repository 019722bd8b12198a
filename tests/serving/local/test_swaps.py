"""Versions are swapped under load without a lost request, a strange answer or growing memory."""

import concurrent.futures
import contextlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import tensorflow as tf

from serving.remote.ranking import open_model

WEIGHTS = 10_000_000
"""Of a version, 40 MB: large enough that one which is not freed shows."""

CONFIG = """model_config_list {{ config {{
  name: "toy" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: {number} versions: {next} }} }}
  version_labels {{ key: "stable" value: {number} }}
}} }}
"""


class LargeModel(tf.Module):
    """Answers with its first and its last weight, which are the same once it is whole."""

    def __init__(self, number):
        super().__init__()
        self.weights = tf.Variable(tf.fill([WEIGHTS], float(number)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def answer(self, x):
        return {"y": tf.concat([x, tf.gather(self.weights, [0, WEIGHTS - 1])], 0)}


def publish(folder, number):
    """Writes version `number`, beside first, then says in models.config that it is to be served."""
    model = LargeModel(number)
    tf.saved_model.save(model, str(folder / f".{number}"), signatures=model.answer)
    (folder / f".{number}").rename(folder / str(number))
    (folder / ".config").write_text(CONFIG.format(folder=folder, number=number, next=number + 1))
    (folder / ".config").rename(folder / "models.config")


def read_memory(process):
    """Returns the resident bytes of a process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def ask_until(url, label, is_over):
    """Asks again and again; returns all answers. Any that is not one ends the test."""
    answers = set()
    with contextlib.closing(open_model(url, "toy", label=label, timeout_seconds=30, retries=0)) as model:
        while not is_over():
            (outputs,) = model.predict("serving_default", {"x": [0.5]}).values()
            answers.add(tuple(outputs))
    return answers


def wait_for(url, states):
    """Waits until versions have these states."""
    deadline = time.monotonic() + 60
    while True:
        statuses = httpx.get(f"{url}/v1/models/toy").json()["model_version_status"]
        if states.items() <= {int(one["version"]): one["state"] for one in statuses}.items():
            return
        assert time.monotonic() < deadline, statuses
        time.sleep(0.05)


def swap_under_load(folder, swaps, clients, seconds):
    """Swaps versions evenly over `seconds`, asked over REST and gRPC, with and without a label.

    Returns all answers of each client, and the memory before the first swap and after the last.
    """
    publish(folder, 1)
    command = [sys.executable, "serving/local_server.py", "--models-config", str(folder / "models.config")]
    command += ["--port", "0", "--grpc-port", "0", "--poll-seconds", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            url, grpc_url = re.search(r"(http://[\d.:]+\d)/.* (grpc://[\d.:]+\d)", server.stdout.readline()).groups()
            kinds = [(url, None), (grpc_url, None), (url, "stable"), (grpc_url, "stable")] * (clients // 4)
            is_over = False
            with concurrent.futures.ThreadPoolExecutor(clients) as pool:
                loads = [pool.submit(ask_until, *kind, lambda: is_over) for kind in kinds]
                try:
                    time.sleep(1)  # until every client has its connection, and the server their threads
                    before, start = read_memory(server), time.monotonic()
                    for number in range(2, swaps + 2):
                        time.sleep(max(0.0, start + seconds * (number - 1) / (swaps + 1) - time.monotonic()))
                        publish(folder, number)
                        wait_for(url, {number: "AVAILABLE", number - 1: "END"})
                        shutil.rmtree(folder / str(number - 1))
                    time.sleep(max(0.2, start + seconds - time.monotonic()))
                finally:
                    is_over = True
            return [load.result() for load in loads], before, read_memory(server)
        finally:
            server.terminate()


def check_swaps(answers, swaps):
    """Checks that every client saw the first and the last version, and nothing but whole ones."""
    whole = {(0.5, float(number), float(number)) for number in range(1, swaps + 2)}
    for seen in answers:
        assert {min(whole), max(whole)} <= seen <= whole


def test_swaps_lose_no_request_and_no_memory(tmp_path):
    answers, before, after = swap_under_load(tmp_path, swaps=3, clients=4, seconds=2.0)
    check_swaps(answers, swaps=3)
    assert after <= 1.2 * before


@pytest.mark.soak
def test_twenty_swaps_in_two_minutes_lose_no_request_and_no_memory(tmp_path):
    answers, before, after = swap_under_load(tmp_path, swaps=20, clients=8, seconds=120.0)
    check_swaps(answers, swaps=20)
    assert after <= 1.2 * before
