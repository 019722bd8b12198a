"""Seconds from the start of `pipelines/train.py` to its first step.

Usage: python -m benchmarks.start benchmarks/training.yaml [section.key=value ...]

Each round begins a new run of `mini` on the config's lists and waits for the checkpoint that it is told to write after
every step. So the time holds imports, the lengths of all training rows, the graph, the step, and writing a checkpoint,
too. Prints a Markdown table.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tables import Claim, describe_machine, format_claims
from tfr_listbert.config import Config, write_config
from tfr_listbert.script import run_script

ROUNDS = 3
GOAL_SECONDS = 30.0
TRAIN = Path(__file__).parents[1] / "pipelines" / "train.py"


def measure(config: Config) -> None:
    """Measures and prints."""
    seconds = [time_start(config) for _ in range(ROUNDS)]
    claim = Claim("from `train` to the first step", seconds, ".1f", GOAL_SECONDS, is_ceiling=True, unit=" s")
    print(f"{describe_machine()}.\n\n{format_claims([claim])}")


def time_start(config: Config) -> float:
    """Returns the seconds that a new run of `config` needs to its first checkpoint; then kills it.

    Raises:
        RuntimeError: if the run ends without one.
    """
    with tempfile.TemporaryDirectory() as folder:
        run, path, log = Path(folder, "run"), Path(folder, "config.yaml"), Path(folder, "log")
        settings = dataclasses.replace(config.train, run=str(run), checkpoint_steps=1)
        write_config(dataclasses.replace(config, train=settings), path)
        since = time.monotonic()
        with open(log, "wb") as output:
            process = subprocess.Popen([sys.executable, str(TRAIN), str(path)], stdout=output, stderr=output)
        try:
            while not any(run.glob("checkpoints/ckpt-*.index")):
                if process.poll() is not None:
                    raise RuntimeError(f"The run ended before its first step:\n{log.read_text()}")
                time.sleep(0.02)
            return time.monotonic() - since
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    run_script(measure, __doc__)
