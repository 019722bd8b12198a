"""Exports models with random weights, for what does not depend on what they have learnt: their speed.

Usage: python benchmarks/untrained.py {teacher|student} CONFIG.yaml OUTPUT

Reads the lists and the tokenizer of the config. `teacher` uses only what the first version of this package has, too,
so that the same script exports the same model with older code on PYTHONPATH.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

from tfr_listbert.config import Config, read_config
from tfr_listbert.export.bundle import build_text_ranker
from tfr_listbert.rows.dataset import build_dataset
from tfr_listbert.rows.profile import RowProfile, measure_rows
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.runs import build_batcher, build_run_ranker

SIGNATURES = ("serving_default", "rank_ids", "search", "encode_query", "cascade", "cascade_ids")


def measure_profile(config: Config, batcher) -> RowProfile:
    """Returns the profile of the training rows."""
    dataset = build_dataset(config.data.lists, "train", batcher, 32)
    return measure_rows(dataset, config.model.features, config.model.buckets, config.text.row_tokens)


def export_teacher(config: Config, output: str) -> None:
    """Exports a ranker."""
    tf.keras.utils.set_random_seed(1)
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    save(build_text_ranker(build_run_ranker(config, batcher, measure_profile(config, batcher))), output)


def export_student(config: Config, output: str) -> None:
    """Exports a student with the vectors of all documents in the lists; its run folder is made, too."""
    from tfr_listbert.distillation.embedding import embed_documents
    from tfr_listbert.export.student import build_text_student
    from tfr_listbert.training.checkpoints import RunCheckpoints
    from tfr_listbert.training.runs import open_run

    tf.keras.utils.set_random_seed(1)
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    student = build_run_ranker(config, batcher, open_run(config, lambda: measure_profile(config, batcher)))
    optimizer = tf.keras.optimizers.Adam()
    RunCheckpoints(config.train.run, student.row_scorer.list_objects(), optimizer).save_best(1)
    embed_documents(config)
    save(build_text_student(config, student), output)


def save(model, output: str) -> None:
    """Writes a SavedModel of the signatures that are measured."""
    signatures = {name: call for name, call in model.build_signatures().items() if name in SIGNATURES}
    tf.saved_model.save(model.build_saved_module(), output, signatures=signatures)


if __name__ == "__main__":
    _, _kind, _config, _output = sys.argv
    if not (Path(_output) / "saved_model.pb").exists():
        {"teacher": export_teacher, "student": export_student}[_kind](read_config(_config), _output)
