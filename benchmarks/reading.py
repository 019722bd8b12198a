"""Lists per second from shards to token rows on one core, against what training needs.

Usage: python -m benchmarks.reading benchmarks/training.yaml [section.key=value ...]

Reading runs in a process that is bound to one core, training in another that has all of them, in turns; both are of
the same lists. Prints a Markdown table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time

from benchmarks.peers import start_peer
from benchmarks.tables import Claim, describe_machine, format_claims
from benchmarks.training import build_trainer
from tfr_listbert.config import Config
from tfr_listbert.rows.dataset import READ_AHEAD, build_step_dataset
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.script import run_script
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.rankers import build_batcher
from tfr_listbert.training.ranking import index_training_lists

ROUNDS = 5
ROUND_SECONDS = 5.0
GOAL = 20.0
ROLE = "READING_ROLE"
"""Environment variable that makes this script one of its own peers: `read` or `train`."""


def measure(config: Config) -> None:
    """Measures and prints, or answers as a peer."""
    if ROLE in os.environ:
        {"read": answer_reading, "train": answer_training}[os.environ[ROLE]](config)
        return
    command = [sys.executable, "-m", "benchmarks.reading", *sys.argv[1:]]
    with contextlib.ExitStack() as stack:
        peers = {role: start_peer(command, stack, {ROLE: role}) for role in ("read", "train")}
        for ask in peers.values():
            ask("0.01")
        rounds = [{role: ask(str(ROUND_SECONDS))["rate"] for role, ask in peers.items()} for _ in range(ROUNDS)]
    print(f"Reading, {ROUNDS} rounds of {ROUND_SECONDS:.0f} s in turns; {describe_machine()}\n")
    print(format_claims(build_claims(rounds)))


def build_claims(rounds: list[dict[str, float]]) -> list[Claim]:
    """Returns the rates and their ratio, by rounds."""
    read, trained = ([one[role] for one in rounds] for role in ("read", "train"))
    ratios = [own / needed for own, needed in zip(read, trained, strict=True)]
    return [
        Claim("lists/s read on one core", read, ".0f"),
        Claim("lists/s trained on all cores", trained, ".1f"),
        Claim("lists/s read of those trained", ratios, ".1f", GOAL, unit=" times"),
    ]


def answer_reading(config: Config) -> None:
    """Reads on one core for the seconds of each line, after what was read ahead between the lines is thrown away."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before TensorFlow starts its threads, which inherit it
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    index = index_training_lists(config, batcher)
    deal = StepDeal(index, dataclasses.replace(config.train, seed=1, epochs=10**3))
    batches = iter(build_step_dataset(index, batcher, deal))
    for line in sys.stdin:
        for _ in range(4 * READ_AHEAD):
            next(batches)
        lists, started = 0, time.perf_counter()
        while time.perf_counter() - started < float(line):
            lists += next(batches)["mask"].shape[0]
        print(json.dumps({"rate": lists / (time.perf_counter() - started)}), flush=True)


def answer_training(config: Config) -> None:
    """Trains for the seconds of each line."""
    make_repeatable(config.train.seed)
    train = build_trainer(config, build_batcher(config, read_tokenizer(config.text.folder)))
    for line in sys.stdin:
        answer = train(float(line))
        rates = {"rate": answer["lists"] / answer["seconds"], "pairs_rate": answer["pairs"] / answer["seconds"]}
        print(json.dumps(rates), flush=True)


if __name__ == "__main__":
    run_script(measure, __doc__)
