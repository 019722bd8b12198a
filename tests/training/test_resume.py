"""A run that is killed and started again ends as one that was not."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import write_config

TRAIN = [sys.executable, "pipelines/train.py"]


def build_command(config, run, epochs, *overrides):
    """The command that trains in `run`; gumbel noise and dropout on, so that a wrong seed would show."""
    path = run.parent / "config.yaml"
    if not path.exists():
        write_config(config, path)
    settings = [f"train.run={run}", f"train.epochs={epochs}", "train.checkpoint_steps=3", "train.evaluate_steps=7"]
    return [*TRAIN, str(path), "loss.loss=gumbel_approx_ndcg_loss", *settings, *overrides]


def run_to_end(command):
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def kill_when(command, is_time, timeout_seconds=300):
    """Starts `command` and kills it as soon as `is_time()`; says whether it was killed before its end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + timeout_seconds
    try:
        while process.poll() is None and not is_time():
            assert time.monotonic() < end, f"its time to be killed has not come within {timeout_seconds} seconds"
            time.sleep(0.0005)
    finally:
        process.kill()  # nothing where it has come to its end
    return process.wait() == -signal.SIGKILL


def list_checkpoints(run):
    return {path.name for path in Path(run, "checkpoints").glob("*")} if Path(run, "checkpoints").is_dir() else set()


def kill_after_new_checkpoint(command, run, wait_seconds=0.0):
    """Kills the run `wait_seconds` after it has written its first checkpoint file of its own."""
    before, since = list_checkpoints(run), []

    def is_time():
        if not since and list_checkpoints(run) - before:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() >= since[0] + wait_seconds

    return kill_when(command, is_time)


def read_all(run):
    """Returns every number of the run's newest checkpoint, optimizer and progress included, and its metrics."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(Path(run, "checkpoints"))))
    names = sorted(reader.get_variable_to_shape_map())
    metrics = json.loads(Path(run, "metrics.json").read_text())
    return {name: reader.get_tensor(name) for name in names}, metrics


def assert_same_end(run, other):
    (numbers, metrics), (other_numbers, other_metrics) = read_all(run), read_all(other)
    assert numbers.keys() == other_numbers.keys()
    for name, value in numbers.items():
        np.testing.assert_array_equal(value, other_numbers[name], err_msg=name)
    assert metrics == other_metrics


@pytest.fixture(scope="module")
def undisturbed(tiny_config, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    run_to_end(build_command(tiny_config, run, epochs=6))
    return run


def test_a_run_killed_while_it_writes_a_checkpoint_ends_as_one_that_was_not(tiny_config, undisturbed):
    run = undisturbed.parent / "killed"
    command = build_command(tiny_config, run, epochs=6)
    assert kill_after_new_checkpoint(command, run)
    run_to_end(command)
    assert_same_end(run, undisturbed)


@pytest.mark.soak
def test_a_finished_run_is_not_trained_again(tiny_config, undisturbed):
    metrics = read_all(undisturbed)[1]
    files = {path: path.stat().st_mtime_ns for path in undisturbed.glob("checkpoints/*")}
    run_to_end(build_command(tiny_config, undisturbed, epochs=6))
    assert {path: path.stat().st_mtime_ns for path in undisturbed.glob("checkpoints/*")} == files
    assert read_all(undisturbed)[1] == metrics


def test_a_run_with_other_settings_is_not_gone_on_with(tiny_config, undisturbed):
    command = build_command(tiny_config, undisturbed, 6, "train.learning_rate=0.5")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "train.learning_rate (was 0.001, is 0.5)" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_three_times_at_random_and_once_while_writing_ends_as_one_that_was_not(
    tiny_config, tmp_path, seed
):
    whole, run, draw = tmp_path / "whole", tmp_path / "killed", random.Random(seed)
    since = time.time()
    run_to_end(build_command(tiny_config, whole, epochs=120))
    begin = Path(whole, "config.yaml").stat().st_mtime  # written when all is read and checked
    start_seconds, training_seconds = begin - since, time.time() - begin
    command = build_command(tiny_config, run, epochs=120)
    deadline = time.monotonic() + draw.uniform(0, start_seconds)
    assert kill_when(command, lambda: time.monotonic() > deadline)
    assert kill_after_new_checkpoint(command, run)
    for _ in range(3):  # half of the training at most, so that none comes after its end
        assert kill_after_new_checkpoint(command, run, wait_seconds=draw.uniform(0, training_seconds / 6))
    run_to_end(command)
    assert_same_end(run, whole)
