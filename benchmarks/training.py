"""Query-document pairs per second of training, against TF-Ranking's own BERT task and sentence-transformers.

Usage: python -m benchmarks.training benchmarks/training.yaml [section.key=value ...]

All train an encoder of the config's size on the same lists with a softmax loss over the list, in float32, in turns. A
peer has the best of several batch sizes, thread counts and, for TensorFlow, oneDNN on or off, found before. The share
of the time that a step waits for data is measured alone, over steps that follow each other. Prints a Markdown table of
medians and ranges, and the useful work as a share of the matrix-product peak of the same rounds. The first call
installs sentence-transformers into runs/benchmarks/.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.environments import build_environment
from benchmarks.flops import count_forward_flops, share_of_peak, start_peak_meter
from benchmarks.peers import Choice, Peer, choose_best, start_peer
from benchmarks.tables import Claim, describe_machine, format_claims, format_peers, format_spread
from tfr_listbert.config import Config
from tfr_listbert.encoders.shapes import resolve_shape
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.rows.dataset import RowBatcher, build_dataset, build_step_dataset
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.script import run_script
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.objectives import build_objective, build_terms
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.rankers import build_batcher, build_run_ranker
from tfr_listbert.training.ranking import index_training_lists, measure_training_rows
from tfr_listbert.training.trainer import TrainingModel

HERE = Path(__file__).parent
LISTS = 400
"""Lists that all train on, again and again."""
ROUNDS = 5
ROUND_SECONDS = 5.0
CHOICE_SECONDS = 3.0
WAITED_STEPS = 100
"""Steps over which waiting for data is measured, after ten that empty what was read ahead while tracing."""
WAITED_BATCH_LISTS = 8
"""Lists of such a step; small steps are harder on what reads."""
OURS = "tfr_listbert"
WIDE, TIGHT, CROSS_ENCODER = "TFRBertTask, 30 × 64", "TFRBertTask, tightest", "CrossEncoder, ListNetLoss"
GOALS = {WIDE: 20.0, TIGHT: 6.0, CROSS_ENCODER: 2.8}
PEAK_GOAL, WAITING_GOAL = 0.55, 0.02
REASON = """\
Why goals are missed: they were set where the peak was 142 GFLOP/s. The faster the products, the larger the share of
what is no product: passes over memory for GELU, norms, softmax, dropout and their gradients (`python -m
benchmarks.step_profile` shows them). In use: query, key and value in one product, rows of all widths in one product,
gradients written by hand, stateless dropout, the last layer for first tokens alone. Tried without gain: more widths,
several rows packed to a sequence, the feed-forward part in pieces that fit the cache, other settings of threads and
oneDNN (`python -m benchmarks.threads`), TensorFlow's graph rewriter, an optimizer compiled by XLA. Passes compiled by
XLA made a step 7 % faster, once it had compiled them anew for each number of tokens: 9 s of the first 60 steps, with
numbers rounded up to some twenty."""

Trainer = Callable[[float], dict[str, float]]
"""Trains for so many seconds; says how many `pairs` in how many `seconds`."""


@dataclasses.dataclass(frozen=True)
class SharedLists:
    """The lists that all train on.

    Attributes:
        folder: shards in `lists/`, rows of ids in `lists.npz`, text in `lists.jsonl`.
        list_size: documents of the longest list.
        row_tokens: tokens of the longest row.
        mean_tokens: of a row.
    """

    folder: Path
    list_size: int
    row_tokens: int
    mean_tokens: float


def measure(config: Config) -> None:
    """Measures and prints."""
    make_repeatable(config.train.seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        batcher = build_batcher(config, read_tokenizer(config.text.folder))
        shared, config = share_lists(config, batcher, Path(folder))
        waiting = measure_waiting(config, batcher)
        choices, about = choose_peers(config, batcher, shared, stack)
        trainers = {OURS: build_trainer(config, batcher), **{name: one.measure for name, one in choices.items()}}
        measure_peak = start_peak_meter(stack)
        rounds, peaks = [], [measure_peak()]
        for _ in range(ROUNDS):
            rounds.append({name: train(ROUND_SECONDS) for name, train in trainers.items()})
            peaks.append(measure_peak())
    tokens = {name: shared.mean_tokens for name in trainers} | {CROSS_ENCODER: about["trained_tokens"]}
    print(
        f"Training, {config.encoder.size}, {LISTS} lists, {ROUNDS} rounds of {ROUND_SECONDS:.0f} s in turns; "
        f"{describe_machine(about['versions'])}\n"
    )
    speeds = {name: [count_speed(one[name]) for one in rounds] for name in trainers}
    labels = {name: one.label for name, one in choices.items()}
    print(format_peers("pairs/s", speeds, ".1f", tokens, labels) + "\n")
    print(format_claims(build_claims(rounds, peaks, waiting), REASON))
    print(f"\nMatrix-product peak, oneDNN on or off: {format_spread([peak / 1e9 for peak in peaks], '.0f')} GFLOP/s.")


def share_lists(config: Config, batcher: RowBatcher, folder: Path) -> tuple[SharedLists, Config]:
    """Writes the first training lists as shards, rows of ids and text; returns them and the config that reads them."""
    lists = list(itertools.islice(read_lists(config.data.lists, "train"), LISTS))
    write_shards(lists, folder / "lists", "train")
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, lists=str(folder / "lists")))
    batch = next(iter(build_dataset(config.data.lists, "train", batcher, LISTS)))
    mask, rows = batch["mask"].numpy(), batch["tokens"]
    lengths, sizes = rows.row_lengths().numpy(), mask.sum(axis=1)
    labels = batch["labels"].numpy()[mask]
    np.savez(folder / "lists.npz", ids=rows.flat_values.numpy(), lengths=lengths, sizes=sizes, labels=labels)
    fields = [field.name for field in config.text.fields]
    with open(folder / "lists.jsonl", "w", encoding="utf-8") as file:
        for one in lists:
            documents = [" ".join(document.fields[name] for name in fields) for document in one.documents]
            grades = [document.label for document in one.documents]
            file.write(json.dumps({"query": one.query, "documents": documents, "labels": grades}) + "\n")
    return SharedLists(folder, int(sizes.max()), int(lengths.max()), float(lengths.mean())), config


def build_steps(config: Config, batcher: RowBatcher, batch_lists: int) -> tuple[Callable, Iterator]:
    """Returns this package's own training step, traced, and the batches of its own input pipeline, from shards on."""
    objective = build_objective(build_terms(config.loss), config.train.micro_batch_lists)
    ranker = build_run_ranker(config, batcher, measure_training_rows(config, batcher))
    model = TrainingModel(ranker.network, objective, config.train.seed, 1.0)
    model.compile(optimizer=build_optimizer(config.train, 10**6))
    settings = dataclasses.replace(config.train, seed=1, epochs=10**3, batch_lists=batch_lists)
    index = index_training_lists(config, batcher)
    dataset = build_step_dataset(index, batcher, StepDeal(index, settings))
    step, batches = tf.function(model.train_step, input_signature=[dataset.element_spec]), iter(dataset)
    step(next(batches))  # tracing
    return step, batches


def measure_waiting(config: Config, batcher: RowBatcher) -> float:
    """Returns the share of the time of WAITED_STEPS training steps, one after the other, that is spent waiting."""
    step, batches = build_steps(config, batcher, WAITED_BATCH_LISTS)
    for _ in range(10):
        step(next(batches))
    waited, started = 0.0, time.perf_counter()
    for _ in range(WAITED_STEPS):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        step(batch)["loss"].numpy()
    return waited / (time.perf_counter() - started)


def build_trainer(config: Config, batcher: RowBatcher) -> Trainer:
    """Returns the trainer of this package."""
    step, batches = build_steps(config, batcher, config.train.batch_lists)
    shape = resolve_shape(config.encoder)

    def train(seconds: float) -> dict[str, float]:
        pairs, lists, work, started = 0, 0, 0.0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            batch = next(batches)
            pairs += int(step(batch)["rows"])
            lists += batch["mask"].shape[0]
            work += 3 * count_forward_flops(batch["tokens"].row_lengths().numpy(), shape)
        return {"pairs": pairs, "lists": lists, "work": work, "seconds": time.perf_counter() - started}

    return train


def describe_sizes(config: Config, batcher: RowBatcher) -> dict[str, Any]:
    """Returns the shape of the config's encoder and the size of its vocabulary, as peers are told them."""
    sizes = dataclasses.asdict(resolve_shape(config.encoder))
    return sizes | {"vocabulary_size": batcher.packer.tokenizer.vocabulary_size}


def start_sentence_transformers(sizes: Mapping[str, Any], folder: Path, stack: contextlib.ExitStack) -> Peer:
    """Starts sentence-transformers, in an environment of its own, on the texts that `share_lists` wrote to a folder."""
    python = build_environment(HERE / "requirements_sentence_transformers.txt")
    return start_peer(
        [python, HERE / "sentence_transformers_peer.py", folder / "lists.jsonl", json.dumps(sizes)], stack
    )


def choose_peers(
    config: Config, batcher: RowBatcher, shared: SharedLists, stack: contextlib.ExitStack
) -> tuple[dict[str, Choice], dict[str, Any]]:
    """Returns the peers at their best settings, in processes that end with `stack`, and what sentence-transformers
    says of itself."""
    sizes = describe_sizes(config, batcher)
    torch = start_sentence_transformers(sizes, shared.folder, stack)
    grid = itertools.product((4, 16, 32), (32, -1), (1, os.cpu_count()))
    turns = [
        Choice(f"{lists} lists, {rows if rows > 0 else 'all'} rows at once, {threads} threads", torch, line)
        for lists, rows, threads in grid
        for line in [f"train {{}} {lists} {rows} {threads}"]
    ]
    best = {CROSS_ENCODER: choose_best(turns, CHOICE_SECONDS, count_speed)}
    return {**choose_tfr_peers(sizes, shared, stack), **best}, torch("describe 0")


def choose_tfr_peers(sizes: Mapping[str, int], shared: SharedLists, stack: contextlib.ExitStack) -> dict[str, Choice]:
    """Returns TF-Ranking's task at both sizes: oneDNN and threads are chosen first, then the batch size of each."""
    tight = f"{shared.list_size} {shared.row_tokens}"
    processes: list[tuple[str, Peer]] = []
    for switch, (intra, inter) in itertools.product(("0", "1"), ((0, 0), (1, os.cpu_count()))):
        settings = {**sizes, "intra_op_threads": intra, "inter_op_threads": inter}
        command = [sys.executable, "-m", "benchmarks.training_tfr_peer", shared.folder / "lists.npz"]
        peer = start_peer([*command, json.dumps(settings)], stack, {"TF_ENABLE_ONEDNN_OPTS": switch})
        threads = f"{intra} × {inter} threads" if intra else "threads by default"
        processes.append((f"oneDNN {'on' if switch == '1' else 'off'}, {threads}", peer))
    turns = [Choice(label, peer, f"{{}} 4 {tight}") for label, peer in processes]
    chosen = choose_best(turns, CHOICE_SECONDS, count_speed)
    for _, peer in processes:
        if peer is not chosen.ask:
            peer.close()

    def choose_lists(counts: Sequence[int], rest: str) -> Choice:
        options = [Choice(f"{n} lists, {chosen.label}", chosen.ask, f"{{}} {n} {rest}") for n in counts]
        return choose_best(options, CHOICE_SECONDS, count_speed)

    return {WIDE: choose_lists((1, 2, 4), "30 64"), TIGHT: choose_lists((2, 4, 8, 16), tight)}


def count_speed(answer: Mapping[str, float]) -> float:
    """Returns pairs per second."""
    return answer["pairs"] / answer["seconds"]


def build_claims(
    rounds: Sequence[Mapping[str, Mapping[str, float]]], peaks: Sequence[float], waiting: float
) -> list[Claim]:
    """Returns how many times faster than each peer this package is, by rounds, its share of the peak, and waiting."""
    claims = []
    for name, goal in GOALS.items():
        ratios = [count_speed(one[OURS]) / count_speed(one[name]) for one in rounds]
        claims.append(Claim(f"pairs/s of those of {name}", ratios, ".2f", goal, unit=" times"))
    work = [one[OURS]["work"] / one[OURS]["seconds"] for one in rounds]
    share = Claim("useful work of the matrix-product peak", share_of_peak(work, peaks), ".1%", PEAK_GOAL)
    name = f"waiting for data, of {WAITED_STEPS} steps of {WAITED_BATCH_LISTS} lists"
    return [*claims, share, Claim(name, [waiting], ".2%", WAITING_GOAL, is_ceiling=True)]


if __name__ == "__main__":
    run_script(measure, __doc__)
