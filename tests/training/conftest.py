"""Runs of scripts on several devices or workers, and what they must have in common."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

TWO_DEVICES = """
import runpy
import sys
import tfr_listbert
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert tf.config.list_logical_devices("CPU")[1].name.endswith("1")
"""


def run_script(*arguments):
    subprocess.run([sys.executable, *arguments], check=True, timeout=300, capture_output=True)


def run_on_two_devices(*arguments):
    """Runs a script and its arguments in a process with two logical CPUs."""
    run_script("-c", TWO_DEVICES, *arguments)


def run_two_workers(*arguments):
    """Runs a script and its arguments in two processes that are told of each other."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]}
    settings = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]
    workers = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | {"TF_CONFIG": json.dumps(own)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own in settings
    ]
    try:
        errors = [worker.communicate(timeout=300)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], errors


def compare_weights(one, other, names):
    """Asserts that the best weights of two runs are the same but for rounding; `names` are the objects' own."""
    checkpoints = [tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "best"))) for run in (one, other)]
    found = [name for name in checkpoints[0].get_variable_to_shape_map() if name.startswith(names)]
    assert len(found) > 10
    for name in found:
        np.testing.assert_allclose(*(reader.get_tensor(name) for reader in checkpoints), atol=2e-5, err_msg=name)


@pytest.fixture(scope="session")
def on_one_device():
    """Runs a script and its arguments."""
    return run_script


@pytest.fixture(scope="session")
def on_two_devices():
    """Runs a script and its arguments in a process with two logical CPUs."""
    return run_on_two_devices


@pytest.fixture(scope="session")
def on_two_workers():
    """Runs a script and its arguments in two processes that are told of each other."""
    return run_two_workers


@pytest.fixture(scope="session")
def assert_same_weights():
    """Asserts that the best weights of two runs are the same but for rounding: `(one, other, names of objects)`."""
    return compare_weights
