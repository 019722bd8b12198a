"""What a training step gains or loses by TensorFlow's settings of threads and kernels.

Usage: python -m benchmarks.threads benchmarks/training.yaml [section.key=value ...]

The same training in processes that differ in one setting of the environment, in turns. Prints a Markdown table of pairs
per second against TensorFlow's defaults, which the package leaves as they are while nothing here beats them.
"""

from __future__ import annotations

import contextlib
import os
import sys

from benchmarks.peers import start_peer
from benchmarks.reading import ROLE
from benchmarks.tables import Claim, describe_machine, format_claims
from tfr_listbert.config import Config
from tfr_listbert.script import run_script

ROUNDS = 5
ROUND_SECONDS = 4.0
DEFAULTS = "TensorFlow's defaults"
CORES = str(os.cpu_count())
SETTINGS = {
    DEFAULTS: {},
    "oneDNN off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "one op at a time": {"TF_NUM_INTEROP_THREADS": "1"},
    "one thread for an op": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": CORES},
    "twice the threads": {"TF_NUM_INTRAOP_THREADS": str(2 * os.cpu_count()), "TF_NUM_INTEROP_THREADS": CORES},
}


def measure(config: Config) -> None:
    """Measures and prints; the training is the one of `benchmarks.reading`."""
    command = [sys.executable, "-m", "benchmarks.reading", *sys.argv[1:]]
    with contextlib.ExitStack() as stack:
        peers = {name: start_peer(command, stack, {ROLE: "train", **setting}) for name, setting in SETTINGS.items()}
        for ask in peers.values():
            ask("1")
        rounds = [{name: ask(str(ROUND_SECONDS))["pairs_rate"] for name, ask in peers.items()} for _ in range(ROUNDS)]
    print(f"Training, {config.encoder.size}, {ROUNDS} rounds of {ROUND_SECONDS:.0f} s in turns; {describe_machine()}\n")
    claims = [Claim(f"pairs/s, {name}", [one[name] for one in rounds], ".0f") for name in SETTINGS]
    ratios = [
        Claim(f"{name}, of the defaults", [one[name] / one[DEFAULTS] for one in rounds], ".2f", unit=" times")
        for name in SETTINGS
        if name != DEFAULTS
    ]
    print(format_claims([*claims, *ratios]))


if __name__ == "__main__":
    run_script(measure, __doc__)
