"""Query-document pairs per second of training, against TF-Ranking's own BERT task and sentence-transformers.

Usage: python -m benchmarks.training benchmarks/training.yaml [section.key=value ...]

All train an encoder of the config's size on the same lists with a softmax loss over the list, in float32, in turns. A
peer has the best of several batch sizes and, where it can be set, thread counts, found in a first round. Prints a
Markdown table of medians and ranges, and the useful work as a share of the matrix-product peak of the same rounds. The
first call installs sentence-transformers into runs/benchmarks/.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.environments import build_environment
from benchmarks.flops import count_forward_flops, measure_peak
from benchmarks.peers import start_peer
from benchmarks.tables import describe_machine, format_spread
from tfr_listbert.config import Config
from tfr_listbert.encoders.roberta import resolve_shape
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.rows.dataset import RowBatcher, TrainingOrder, build_dataset, build_training_dataset
from tfr_listbert.rows.profile import measure_rows
from tfr_listbert.script import run_script
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.objectives import build_objective, build_terms
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.runs import build_batcher, build_run_ranker
from tfr_listbert.training.trainer import TrainingModel

HERE = Path(__file__).parent
LISTS = 400
"""Lists that the peers train on; read before the time is taken."""
ROUNDS = 5
ROUND_SECONDS = 5.0
OURS = "tfr_listbert"

Trainer = Callable[[], dict[str, float]]
"""Trains for a round; says how many `pairs` in how many `seconds`."""


def measure(config: Config) -> None:
    """Measures and prints."""
    make_repeatable(config.train.seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        batcher = build_batcher(config, read_tokenizer(config.text.folder))
        longest = write_lists(config, batcher, Path(folder))
        trainers = {OURS: build_trainer(config, batcher), **start_peers(config, batcher, Path(folder), longest, stack)}
        rounds, peaks = [], []
        for _ in range(ROUNDS):
            peaks.append(measure_peak())
            rounds.append({name: train() for name, train in trainers.items()})
    print(format_table(config, rounds, peaks))


def write_lists(config: Config, batcher: RowBatcher, folder: Path) -> tuple[int, int]:
    """Writes the first lists as rows of ids and as text; returns the longest list and the longest row."""
    batches = list(build_dataset(config.data.lists, "train", batcher, LISTS).take(1))
    masks, rows = batches[0]["mask"].numpy(), batches[0]["tokens"]
    lengths, sizes = rows.row_lengths().numpy(), masks.sum(axis=1)
    labels = batches[0]["labels"].numpy()[masks]
    np.savez(folder / "lists.npz", ids=rows.flat_values.numpy(), lengths=lengths, sizes=sizes, labels=labels)
    fields = [field.name for field in config.text.fields]
    with open(folder / "lists.jsonl", "w", encoding="utf-8") as file:
        for one, _ in zip(read_lists(config.data.lists, "train"), range(LISTS), strict=False):
            documents = [" ".join(document.fields[name] for name in fields) for document in one.documents]
            grades = [document.label for document in one.documents]
            file.write(json.dumps({"query": one.query, "documents": documents, "labels": grades}) + "\n")
    return int(sizes.max()), int(lengths.max())


def build_trainer(config: Config, batcher: RowBatcher) -> Trainer:
    """Returns the trainer of this package: its own step over its own input pipeline, from shards on."""
    measured = build_dataset(config.data.lists, "train", batcher, config.evaluate.batch_lists)
    profile = measure_rows(measured, config.model.features, config.model.buckets, config.text.row_tokens)
    objective = build_objective(build_terms(config.loss), config.train.micro_batch_lists)
    ranker = build_run_ranker(config, batcher, profile)
    model = TrainingModel(ranker.network, objective, config.train.seed, 1.0)
    model.compile(optimizer=build_optimizer(config.train, 10**6))
    dataset = build_training_dataset(config.data.lists, batcher, TrainingOrder(1, 10**3, config.train.batch_lists))
    step, batches = tf.function(model.train_step, input_signature=[dataset.element_spec]), iter(dataset)
    shape = resolve_shape(config.encoder)
    step(next(batches))  # tracing

    def train() -> dict[str, float]:
        pairs, work, waited, started = 0, 0.0, 0.0, time.perf_counter()
        while time.perf_counter() - started < ROUND_SECONDS:
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            pairs += int(step(batch)["rows"])
            work += 3 * count_forward_flops(batch["tokens"].row_lengths().numpy(), shape)
        return {"pairs": pairs, "work": work, "waited": waited, "seconds": time.perf_counter() - started}

    return train


def start_peers(
    config: Config, batcher: RowBatcher, folder: Path, longest: tuple[int, int], stack: contextlib.ExitStack
) -> dict[str, Trainer]:
    """Returns the peers' trainers at their best settings, in processes that end with `stack`."""
    shape = {**dataclasses.asdict(resolve_shape(config.encoder))}
    settings = json.dumps({**shape, "vocabulary_size": batcher.packer.tokenizer.vocabulary_size})
    tfr = [sys.executable, "-m", "benchmarks.training_tfr_peer", folder / "lists.npz", settings]
    python = build_environment(HERE / "requirements_sentence_transformers.txt")
    torch = [python, HERE / "sentence_transformers_peer.py", folder / "lists.jsonl", settings]
    list_size, seq_length = longest
    ask_tfr, ask_torch = start_peer(tfr, stack), start_peer(torch, stack)
    tight = f"{list_size} {seq_length}"
    torch_settings = [f"{lists} {rows} {threads}" for lists in (4, 16) for rows in (32, -1) for threads in (1, 2)]
    return {
        "TFRBertTask, 30 × 64": choose_best(ask_tfr, "{} 1 30 64", "{} 4 30 64"),
        f"TFRBertTask, {list_size} × {seq_length}": choose_best(ask_tfr, *[f"{{}} {n} {tight}" for n in (2, 8)]),
        "CrossEncoder, ListNetLoss": choose_best(ask_torch, *[f"train {{}} {one}" for one in torch_settings]),
    }


def choose_best(ask: Callable[[str], dict[str, float]], *settings: str) -> Trainer:
    """Returns the trainer that asks a peer with the settings, `{}` for seconds, that were fastest in a short round."""

    def measure_speed(setting: str) -> float:
        answer = ask(setting.format(ROUND_SECONDS / 2))
        return answer["pairs"] / answer["seconds"]

    best = max(settings, key=measure_speed)
    return lambda: {**ask(best.format(ROUND_SECONDS)), "setting": best.format("").replace("train", "").strip()}


def format_table(config: Config, rounds: list[dict[str, dict[str, float]]], peaks: list[float]) -> str:
    """Returns a Markdown table: pairs per second, and how many times those of each peer ours are, by rounds."""
    speeds = {name: [one[name]["pairs"] / one[name]["seconds"] for one in rounds] for name in rounds[0]}
    lines = [
        f"Training, {config.encoder.size}, lists of {config.data.lists}, {ROUNDS} rounds of {ROUND_SECONDS:.0f} s in "
        f"turns; {describe_machine()}",
        "",
        "| | pairs/s, median (range) | tfr_listbert is faster, median (range) |",
        "|---|---|---|",
    ]
    for name, own in speeds.items():
        ratios = [mine / other for mine, other in zip(speeds[OURS], own, strict=True)]
        ratio = "" if name == OURS else f"{format_spread(ratios, '.2f')} times"
        setting = rounds[0][name].get("setting")
        lines.append(
            f"| {name}{f' (at its best: {setting})' if setting else ''} | {format_spread(own, '.1f')} | {ratio} |"
        )
    ours = [one[OURS] for one in rounds]
    shares = [one["work"] / one["seconds"] / peak for one, peak in zip(ours, peaks, strict=True)]
    waits = [one["waited"] / one["seconds"] for one in ours]
    lines += [
        "",
        f"Useful work: {format_spread(shares, '.1%')} of the matrix-product peak, which was "
        f"{format_spread([peak / 1e9 for peak in peaks], '.0f')} GFLOP/s. Waiting for data: "
        f"{format_spread(waits, '.2%')} of the time.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(measure, __doc__)
