"""Versions are swapped under load without a lost request, a strange answer or growing memory."""

import concurrent.futures
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import tensorflow as tf

from serving.contract.models import ContractModel


def write_versions(folder, count):
    """Writes versions 1 to `count` as hidden folders; version n answers n to 0."""
    for number in range(1, count + 1):
        model = ContractModel(float(number))
        signatures = {"serving_default": model.build_signatures()["serving_default"]}
        tf.saved_model.save(model, str(folder / f".{number}"), signatures=signatures)


def show_version(folder, number):
    (folder / f".{number}").rename(folder / str(number))


def read_memory(process):
    """Returns the resident bytes of a process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def ask_until(url, is_over):
    answers = set()
    with httpx.Client(timeout=30) as client:
        while not is_over():
            response = client.post(f"{url}toy:predict", json={"instances": [0.0]})
            answers.add((response.status_code, response.json().get("predictions", [None])[0]))
    return answers


def wait_for(url, number):
    deadline = time.monotonic() + 60
    while True:
        response = httpx.get(f"{url}toy/versions/{number}")
        if response.status_code == 200 and response.json()["model_version_status"][0]["state"] == "AVAILABLE":
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def swap_under_load(folder, swaps, clients, seconds):
    """Swaps versions evenly over `seconds`; returns all answers, and the memory after the first swap and at the end."""
    write_versions(folder, swaps + 1)
    show_version(folder, 1)
    command = [sys.executable, "serving/local_server.py", "--model", f"toy={folder}", "--port", "0"]
    command += ["--poll-seconds", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            url = server.stdout.readline().split(" at ")[1].split(" ")[0]
            is_over = False
            memory = []
            with concurrent.futures.ThreadPoolExecutor(clients) as pool:
                loads = [pool.submit(ask_until, url, lambda: is_over) for _ in range(clients)]
                start = time.monotonic()
                try:
                    for swap in range(1, swaps + 1):
                        time.sleep(max(0.0, start + seconds * swap / (swaps + 1) - time.monotonic()))
                        show_version(folder, swap + 1)
                        wait_for(url, swap + 1)
                        memory.append(read_memory(server))
                    time.sleep(max(0.2, start + seconds - time.monotonic()))
                finally:
                    is_over = True
            return set().union(*(load.result() for load in loads)), memory[0], read_memory(server)
        finally:
            server.terminate()


def test_swaps_lose_no_request(tmp_path):
    answers, _, _ = swap_under_load(tmp_path, swaps=3, clients=4, seconds=2.0)
    assert answers <= {(200, float(number)) for number in range(1, 5)}
    assert (200, 4.0) in answers


@pytest.mark.soak
def test_twenty_swaps_in_two_minutes_lose_no_request_and_no_memory(tmp_path):
    answers, before, after = swap_under_load(tmp_path, swaps=20, clients=8, seconds=120.0)
    assert answers == {(200, float(number)) for number in range(1, 22)}
    assert after <= 1.2 * before
