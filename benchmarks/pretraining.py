"""Real tokens per second of masked-LM training against Hugging Face's RoBERTa in PyTorch, on the CPU.

Usage: python -m benchmarks.pretraining benchmarks/pretraining.yaml [section.key=value ...]

Both train the encoder of the config on the texts of its corpus, in turns, in steps of 64 texts (ours: of as many tokens
as 64 texts have). The peer pads 64 random texts to the longest of them, as it does unless told otherwise, and once more
64 texts of like length (`group_by_length`). Prints Markdown tables of medians and ranges, and of the goal. The first
call installs the peer into runs/benchmarks/.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.environments import build_environment
from benchmarks.peers import start_peer
from benchmarks.tables import Claim, describe_machine, format_claims, format_spread
from tfr_listbert.config import Config
from tfr_listbert.encoders.shapes import resolve_shape
from tfr_listbert.rows.corpus_batches import StepPlan, build_step_dataset
from tfr_listbert.rows.corpus_store import read_rows, write_rows
from tfr_listbert.rows.corpus_texts import TextCounts, read_corpus
from tfr_listbert.script import run_script
from tfr_listbert.text.masking import TokenMasker
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.pretraining import build_masked_lm, build_objective, build_step_masks
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.trainer import TrainingModel

HERE = Path(__file__).parent
BATCH_TEXTS = 64
ROUNDS = 7
ROUND_SECONDS = 10.0
GOAL = 2.0
"""How many times the real tokens per second of each peer are aimed at."""
REASON = """\
Why the goal is missed where PyTorch groups texts by length: then both compute hardly any padding, and what is left is
the speed of the same products and passes over memory."""

Trainer = Callable[[], dict[str, float]]
"""Trains for a round; says how many `real` and `computed` tokens in how many `seconds`."""


def measure(config: Config) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        tokenizer = read_tokenizer(config.text.folder)
        rows = write_corpus(config, tokenizer, Path(folder))
        trainers = {
            "tfr_listbert": build_trainer(config, tokenizer, rows),
            **start_trainers(config, tokenizer, rows, Path(folder), stack),
        }
        for train in trainers.values():
            train()  # tracing, allocation
        rounds = [{name: train() for name, train in trainers.items()} for _ in range(ROUNDS)]
    print(format_table(config, rounds))


def write_corpus(config: Config, tokenizer: tf.Module, folder: Path) -> tuple[np.ndarray, ...]:
    """Returns the rows of the config's corpus."""
    settings = config.pretrain
    write_rows(read_corpus(config, folder, TextCounts()), tokenizer, folder, settings.row_tokens, settings.buckets)
    return read_rows(folder, "train")


def build_trainer(config: Config, tokenizer: tf.Module, rows: tuple[np.ndarray, ...]) -> Trainer:
    """Returns the trainer of this package: its own step, without evaluations and checkpoints."""
    make_repeatable(config.train.seed)
    texts, tokens = sum(map(len, rows)), sum(int(np.count_nonzero(array != tokenizer.pad_id)) for array in rows)
    plan = StepPlan(rows, max(rows[-1].shape[1], round(BATCH_TEXTS * tokens / texts)))
    objective = build_objective(tokenizer.pad_id)
    model = TrainingModel(build_masked_lm(config, tokenizer), objective, config.train.seed, 1.0)
    model.compile(optimizer=build_optimizer(config.train, 10**6))
    dataset = build_step_dataset(plan, build_step_masks(TokenMasker(tokenizer), config.train.seed), 10**6)
    step, batches = tf.function(model.train_step, input_signature=[dataset.element_spec]), iter(dataset)

    def train() -> dict[str, float]:
        real = computed = 0
        started = time.perf_counter()
        while time.perf_counter() - started < ROUND_SECONDS:
            batch = next(batches)
            real += int(step(batch)["rows"])
            computed += int(tf.size(batch["tokens"]))
        return {"real": real, "computed": computed, "seconds": time.perf_counter() - started}

    return train


def start_trainers(
    config: Config, tokenizer: tf.Module, rows: tuple[np.ndarray, ...], folder: Path, stack: contextlib.ExitStack
) -> dict[str, Trainer]:
    """Returns the peer's trainers, random and grouped batches, in one process that ends with `stack`."""
    python = build_environment(HERE / "requirements_pytorch.txt")
    real = [row[row != tokenizer.pad_id] for row in _shuffle_rows(rows)]
    np.savez(folder / "rows.npz", ids=np.concatenate(real), lengths=[len(row) for row in real])
    command = [python, HERE / "pretraining_peer.py", folder / "rows.npz", json.dumps(_describe_size(config, tokenizer))]
    ask = start_peer(command, stack)

    def build(kind: str) -> Trainer:
        return lambda: ask(f"{ROUND_SECONDS} {kind}")

    return {"PyTorch, random batches": build("random"), "PyTorch, grouped by length": build("grouped")}


def _shuffle_rows(rows: tuple[np.ndarray, ...]) -> Iterator[np.ndarray]:
    every = [row for array in rows for row in array]
    return (every[index] for index in np.random.default_rng(1).permutation(len(every)))


def _describe_size(config: Config, tokenizer: tf.Module) -> dict[str, Any]:
    ids = {name: getattr(tokenizer, name) for name in ("bos_id", "pad_id", "eos_id", "unk_id", "mask_id")}
    return {
        **dataclasses.asdict(resolve_shape(config.encoder)),
        "vocabulary_size": tokenizer.vocabulary_size,
        "batch_texts": BATCH_TEXTS,
        "pad_id": ids["pad_id"],
        "mask_id": ids["mask_id"],
        "special_ids": list(ids.values()),
    }


def format_table(config: Config, rounds: list[dict[str, dict[str, float]]]) -> str:
    """Returns Markdown tables: tokens per second, and how many times those of each peer ours are, by rounds."""
    speeds = {name: [one[name]["real"] / one[name]["seconds"] for one in rounds] for name in rounds[0]}
    ours, *peers = speeds
    lines = [
        f"{config.encoder.size}, {BATCH_TEXTS} texts a step ({ours}: rows of one width, at most as many tokens as "
        f"{BATCH_TEXTS} texts have on average), {ROUNDS} rounds of {ROUND_SECONDS:.0f} s in turns; "
        f"{describe_machine()}",
        "",
        "| | real tokens/s, median (range) | real among computed |",
        "|---|---|---|",
    ]
    for name, own in speeds.items():
        share = sum(one[name]["real"] for one in rounds) / sum(one[name]["computed"] for one in rounds)
        lines.append(f"| {name} | {format_spread(own, ',.0f')} | {share:.1%} |")
    ratios = {peer: [mine / own for mine, own in zip(speeds[ours], speeds[peer], strict=True)] for peer in peers}
    claims = [
        Claim(f"real tokens/s over those of {peer}", values, ".2f", GOAL, unit=" times")
        for peer, values in ratios.items()
    ]
    return "\n".join([*lines, "", format_claims(claims, REASON)])


if __name__ == "__main__":
    run_script(measure, __doc__)
