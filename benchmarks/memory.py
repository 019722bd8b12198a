"""Peak memory of a training step on one long list, beside what the planner expects.

Usage: python -m benchmarks.memory [--one LOSS DOCUMENTS]

`mini`, rows of 64 tokens, chunks of at most 4,096 tokens, for lists of 500, 1,000 and 2,000 documents, each in a
process of its own: with a loss over pairs of documents, and with one without, whose memory is that of the encoder. With
--one makes the step of such a list and prints a JSON object. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.tables import Claim, describe_machine, format_claims
from tfr_listbert.config import TrainConfig
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import SIZES
from tfr_listbert.losses import build_loss
from tfr_listbert.models.ranker import RowScorer, build_ranker
from tfr_listbert.training.memory import plan_memory
from tfr_listbert.training.objectives import LossTerm, build_objective
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.trainer import TrainingModel

ROW_TOKENS, CHUNK_TOKENS, VOCABULARY = 64, 4096, 8000
LENGTHS = (500, 1000, 2000)
PAIRS, NO_PAIRS = "approx_ndcg_loss", "softmax_loss"
PEAK_GOAL, GROWTH_GOAL, PLAN_GOAL = 2.0, 1.1, 1.1
"""GiB of the process at the longest list; times that of the shortest one, without a loss over pairs; times the plan."""


def read_status(name: str) -> int:
    """Returns a line of this process's status, `VmRSS` or `VmHWM` (its peak), in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def build_batch(documents: int) -> dict[str, tf.Tensor]:
    """Returns a batch of one list of random full rows."""
    draw = np.random.default_rng(1)
    tokens = draw.integers(5, VOCABULARY - 1, (documents, ROW_TOKENS)).astype(np.int32)
    return {
        "tokens": tf.RaggedTensor.from_tensor(tokens),
        "features": tf.zeros([documents, 0]),
        "mask": tf.ones([1, documents], tf.bool),
        "labels": tf.constant(draw.integers(0, 4, (1, documents)), tf.float32),
        "weights": tf.ones([1, documents]),
        "document_keys": tf.constant(draw.integers(0, 2**60, (1, documents))),
    }


def build_signature() -> dict[str, tf.TypeSpec]:
    """Returns the specs of such batches of any length."""
    specs = {
        name: tf.TensorSpec([None] * value.shape.rank, value.dtype)
        for name, value in build_batch(2).items()
        if name not in ("tokens", "features")
    }
    tokens = tf.RaggedTensorSpec([None, None], tf.int32, row_splits_dtype=tf.int64)
    return {**specs, "tokens": tokens, "features": tf.TensorSpec([None, 0], tf.float32)}


def measure_step(key: str, documents: int) -> dict[str, int]:
    """Returns the peak of the process, how far a step brought it above what it was without a model, and the plan."""
    make_repeatable(1)
    before = read_status("VmRSS")
    encoder = RobertaEncoder(VOCABULARY, SIZES["mini"])
    network = build_ranker(RowScorer(encoder, (ROW_TOKENS,), max_tokens=CHUNK_TOKENS))
    train = TrainConfig(batch_lists=1, max_tokens_in_memory=CHUNK_TOKENS)
    loss = build_loss(key, {})
    model = TrainingModel(network, build_objective([LossTerm(loss)]), 1, 1.0)
    model.compile(optimizer=build_optimizer(train, 100))
    step = tf.function(model.train_step, input_signature=[build_signature()])
    step(build_batch(8))  # tracing, and the optimizer's moments
    batch = build_batch(documents)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    step(batch)
    peak = read_status("VmHWM")
    plan = plan_memory(train, SIZES["mini"], VOCABULARY, [loss], documents, ROW_TOKENS)
    return {"loss": key, "documents": documents, "whole": peak, "step": peak - before, "planned": plan.total}


def measure_apart(key: str, documents: int) -> dict[str, int]:
    """Returns what `measure_step` does, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", key, str(documents)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def format_peaks(answers: Sequence[Mapping[str, int]]) -> str:
    """Returns a Markdown table of peaks in GiB, and measured over planned."""
    lines = [
        "| loss | documents | peak of the process, GiB | of it the step | planned | peak / plan |",
        "|---|---|---|---|---|---|",
    ]
    for answer in answers:
        numbers = " | ".join(f"{answer[name] / 2**30:.2f}" for name in ("whole", "step", "planned"))
        ratio = answer["whole"] / answer["planned"]
        lines.append(f"| {answer['loss']} | {answer['documents']:,} | {numbers} | {ratio:.2f} |")
    return "\n".join(lines)


def build_claims(answers: Sequence[Mapping[str, int]]) -> list[Claim]:
    """Returns the peak at the longest list, and how that of the encoder grows from the shortest to the longest."""
    own = {name: [answer for answer in answers if answer["loss"] == name] for name in (PAIRS, NO_PAIRS)}
    whole, first, last = own[PAIRS][-1], own[NO_PAIRS][0], own[NO_PAIRS][-1]
    ratios = [answer["whole"] / answer["planned"] for answer in answers]
    peak = f"peak of the process, {PAIRS}, {whole['documents']:,} documents"
    growth = f"step without a loss over pairs, {last['documents']:,} documents against {first['documents']:,}"
    return [
        Claim(peak, [whole["whole"] / 2**30], ".2f", PEAK_GOAL, is_ceiling=True, unit=" GiB"),
        Claim(growth, [last["step"] / first["step"]], ".2f", GROWTH_GOAL, is_ceiling=True, unit=" times"),
        Claim("peak of the process, of the plan", ratios, ".2f", PLAN_GOAL, is_ceiling=True, unit=" times"),
    ]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("LOSS", "DOCUMENTS"))
    settings = parser.parse_args()
    if settings.one:
        print(json.dumps(measure_step(settings.one[0], int(settings.one[1]))))
        return
    answers = [measure_apart(key, documents) for key in (PAIRS, NO_PAIRS) for documents in LENGTHS]
    print(f"A training step of `mini` on one list of rows of {ROW_TOKENS} tokens; {describe_machine()}\n")
    print(format_peaks(answers) + "\n")
    print(format_claims(build_claims(answers)))


if __name__ == "__main__":
    main()
