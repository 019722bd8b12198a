"""Milliseconds to score 100 titles for a query, text to scores, against CrossEncoder.predict and ONNX Runtime.

Usage: python -m benchmarks.scoring benchmarks/training.yaml [section.key=value ...]

All score the same texts with random weights of the config's size in float32, in turns, each peer at the best of several
batch sizes and thread counts. Ours is the graph that an export has: tokenizer, packing, encoder and head. Prints a
Markdown table of medians and ranges, and the useful work as a share of the matrix-product peak of the same rounds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
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
from benchmarks.training import HERE, write_lists
from tfr_listbert.config import Config
from tfr_listbert.encoders.roberta import resolve_shape
from tfr_listbert.rows.dataset import RowBatcher, build_dataset
from tfr_listbert.rows.profile import measure_rows
from tfr_listbert.script import run_script
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.runs import build_batcher, build_run_ranker

DOCUMENTS = 100
ROUNDS = 7
ROUND_SECONDS = 3.0
OURS = "tfr_listbert"

Timer = Callable[[], dict[str, float]]
"""Scores for a round; says the median `seconds` of a list."""


def measure(config: Config) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        batcher = build_batcher(config, read_tokenizer(config.text.folder))
        write_lists(config, batcher, Path(folder))
        timers = {OURS: build_timer(config, batcher, Path(folder)), **start_peers(config, batcher, Path(folder), stack)}
        rounds, peaks = [], []
        for _ in range(ROUNDS):
            peaks.append(measure_peak())
            rounds.append({name: score() for name, score in timers.items()})
    print(format_table(config, rounds, peaks))


def build_timer(config: Config, batcher: RowBatcher, folder: Path) -> Timer:
    """Returns the timer of this package's scorer."""
    measured = build_dataset(config.data.lists, "train", batcher, config.evaluate.batch_lists)
    profile = measure_rows(measured, config.model.features, config.model.buckets, config.text.row_tokens)
    row_scorer = build_run_ranker(config, batcher, profile).row_scorer
    lists = [json.loads(line) for line in (folder / "lists.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = [text for one in lists for text in one["documents"]][:DOCUMENTS]
    query, titles = tf.constant([lists[0]["query"]]), tf.constant([documents])

    def pack(query: tf.Tensor, titles: tf.Tensor) -> tf.RaggedTensor:
        return batcher.packer.pack(query, {batcher.fields[0]: titles}, tf.ones(tf.shape(titles), tf.bool))

    @tf.function
    def score(query: tf.Tensor, titles: tf.Tensor) -> tf.Tensor:
        return row_scorer(pack(query, titles), tf.zeros([tf.size(titles), 0]), training=False)

    work = count_forward_flops(pack(query, titles).row_lengths().numpy(), resolve_shape(config.encoder))
    score(query, titles)

    def measure_round() -> dict[str, float]:
        times, started = [], time.perf_counter()
        while time.perf_counter() - started < ROUND_SECONDS:
            before = time.perf_counter()
            score(query, titles).numpy()
            times.append(time.perf_counter() - before)
        return {"seconds": float(np.median(times)), "work": work}

    return measure_round


def start_peers(config: Config, batcher: RowBatcher, folder: Path, stack: contextlib.ExitStack) -> dict[str, Timer]:
    """Returns the peers' timers at their best settings, in one process that ends with `stack`."""
    shape = dataclasses.asdict(resolve_shape(config.encoder))
    settings = json.dumps({**shape, "vocabulary_size": batcher.packer.tokenizer.vocabulary_size})
    python = build_environment(HERE / "requirements_sentence_transformers.txt")
    ask = start_peer([python, HERE / "sentence_transformers_peer.py", folder / "lists.jsonl", settings], stack)

    def choose_best(name: str) -> Timer:
        choices = [f"{rows} {threads}" for rows in (16, 32, 100) for threads in (1, 2)]
        best = min(choices, key=lambda choice: ask(f"{name} 1 {choice}")["seconds"])
        return lambda: {**ask(f"{name} {ROUND_SECONDS} {best}"), "setting": best}

    return {
        "CrossEncoder.predict": choose_best("predict"),
        "ONNX Runtime, sorted by length": choose_best("onnx"),
    }


def format_table(config: Config, rounds: list[dict[str, dict[str, float]]], peaks: list[float]) -> str:
    """Returns a Markdown table: milliseconds, and how many times faster than each peer ours is, by rounds."""
    lines = [
        f"Scoring {DOCUMENTS} documents of a query, {config.encoder.size}, {ROUNDS} rounds of {ROUND_SECONDS:.0f} s in "
        f"turns; {describe_machine()}",
        "",
        "| | ms, median (range) | tfr_listbert is faster, median (range) |",
        "|---|---|---|",
    ]
    for name in rounds[0]:
        times = [1000 * one[name]["seconds"] for one in rounds]
        ratios = [one[name]["seconds"] / one[OURS]["seconds"] for one in rounds]
        ratio = "" if name == OURS else f"{format_spread(ratios, '.2f')} times"
        setting = rounds[0][name].get("setting")
        best = f" (at its best: {setting.replace(' ', ' rows, ')} threads)" if setting else ""
        lines.append(f"| {name}{best} | {format_spread(times, '.0f')} | {ratio} |")
    shares = [one[OURS]["work"] / one[OURS]["seconds"] / peak for one, peak in zip(rounds, peaks, strict=True)]
    lines += [
        "",
        f"Useful work: {format_spread(shares, '.1%')} of the matrix-product peak, which was "
        f"{format_spread([peak / 1e9 for peak in peaks], '.0f')} GFLOP/s.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(measure, __doc__)
