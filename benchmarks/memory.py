"""Peak memory of a training step on one long list, beside what the planner expects.

Usage: python -m benchmarks.memory

`mini`, rows of 64 tokens, chunks of at most 4,096 tokens, for lists of 500, 1,000 and 2,000 documents, each in a
process of its own; with --one DOCUMENTS makes the step of such a list and prints a JSON object. Prints a Markdown
table.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.tables import describe_machine
from tfr_listbert.config import TrainConfig
from tfr_listbert.encoders.roberta import SIZES, RobertaEncoder
from tfr_listbert.losses import build_loss
from tfr_listbert.models.ranker import RowScorer, build_ranker
from tfr_listbert.training.memory import plan_memory
from tfr_listbert.training.objectives import LossTerm, build_objective
from tfr_listbert.training.optimizer import build_optimizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.trainer import TrainingModel

ROW_TOKENS, CHUNK_TOKENS, VOCABULARY = 64, 4096, 8000
LENGTHS = (500, 1000, 2000)
LOSS = "approx_ndcg_loss"


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


def measure_step(documents: int) -> dict[str, int]:
    """Returns the peak of a step, above what the process had before the model was built and at all, and the plan."""
    make_repeatable(1)
    before = read_status("VmRSS")
    encoder = RobertaEncoder(VOCABULARY, SIZES["mini"])
    network = build_ranker(RowScorer(encoder, (ROW_TOKENS,), max_tokens=CHUNK_TOKENS))
    train = TrainConfig(batch_lists=1, max_tokens_in_memory=CHUNK_TOKENS)
    loss = build_loss(LOSS, {})
    model = TrainingModel(network, build_objective([LossTerm(loss)]), 1, 1.0)
    model.compile(optimizer=build_optimizer(train, 100))
    batch = build_batch(documents)
    step = tf.function(model.train_step)
    step(batch)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    step(batch)
    peak = read_status("VmHWM")
    plan = plan_memory(train, SIZES["mini"], VOCABULARY, [loss], documents, ROW_TOKENS)
    return {"documents": documents, "whole": peak, "step": peak - before, "planned": plan.total}


def main() -> None:
    """Measures and prints."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure_step(int(sys.argv[2]))))
        return
    print(f"A training step of `mini` on one list of rows of {ROW_TOKENS} tokens, {LOSS}; {describe_machine()}\n")
    print("| documents | peak of the process, GiB | of it the step, GiB | planned, GiB |\n|---|---|---|---|")
    for documents in LENGTHS:
        command = [sys.executable, "-m", "benchmarks.memory", "--one", str(documents)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        numbers = (f"{answer[name] / 2**30:.2f}" for name in ("whole", "step", "planned"))
        print(f"| {documents:,} | {' | '.join(numbers)} |", flush=True)


if __name__ == "__main__":
    main()
