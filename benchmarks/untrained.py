"""Exports models with random weights, for what does not depend on what they have learnt: their speed.

Usage: python benchmarks/untrained.py teacher TEACHER.yaml OUTPUT
       python benchmarks/untrained.py student STUDENT.yaml OUTPUT
       python benchmarks/untrained.py cascade STUDENT.yaml OUTPUT TEACHER.yaml
       python benchmarks/untrained.py catalogue STUDENT.yaml OUTPUT SIZE

Reads the lists and the tokenizer of the config. `student` makes the student's run folder and the vectors of all
documents in the lists, which `cascade` exports with a teacher; `catalogue` exports the student of that folder with
random unit vectors of so many documents. `teacher` uses only what the first version of this package has, too, so that
the same script exports the same model with older code on PYTHONPATH.
"""

from __future__ import annotations

import sys

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config, read_config
from tfr_listbert.rows.dataset import build_dataset
from tfr_listbert.rows.profile import RowProfile, measure_rows
from tfr_listbert.text.tokenizer import read_tokenizer

try:
    from tfr_listbert.export.models import build_text_ranker
    from tfr_listbert.training.rankers import build_batcher, build_run_ranker
except ModuleNotFoundError:  # their names in the first version
    from tfr_listbert.training.runs import build_batcher, build_run_ranker

    from tfr_listbert.export.bundle import build_text_ranker

SIGNATURES = ("serving_default", "rank_ids", "search", "cascade_ids")


def measure_profile(config: Config, batcher) -> RowProfile:
    """Returns the profile of the training rows."""
    dataset = build_dataset(config.data.lists, "train", batcher, 32)
    return measure_rows(dataset, config.model.features, config.model.buckets, config.text.row_tokens)


def build_teacher(config: Config):
    """Returns a ranker as it is exported."""
    tf.keras.utils.set_random_seed(1)
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    return build_text_ranker(build_run_ranker(config, batcher, measure_profile(config, batcher)))


def build_student(config: Config):
    """Returns a student as it is exported, with the vectors of all documents in the lists; makes its run folder."""
    from tfr_listbert.distillation.embedding import embed_documents
    from tfr_listbert.export.models import build_text_student
    from tfr_listbert.training.checkpoints import RunCheckpoints
    from tfr_listbert.training.run_folder import open_run

    tf.keras.utils.set_random_seed(1)
    batcher = build_batcher(config, read_tokenizer(config.text.folder))
    student = build_run_ranker(config, batcher, open_run(config, lambda: measure_profile(config, batcher)))
    for weight in student.row_scorer.trainable_weights:  # factors of 1 and biases of 0 would be left out as constants
        weight.assign_add(tf.random.normal(weight.shape, stddev=0.02))
    optimizer = tf.keras.optimizers.Adam()
    RunCheckpoints(config.train.run, student.row_scorer.list_objects(), optimizer).save_best(1)
    embed_documents(config)
    return build_text_student(config, student)


def build_cascade(config: Config, teacher: str):
    """Returns the student in a run folder whose first documents a ranker of the config `teacher` ranks anew."""
    from tfr_listbert.export.models import build_text_student
    from tfr_listbert.export.text_cascade import TextCascade
    from tfr_listbert.training.rankers import read_ranker

    student = build_text_student(config, read_ranker(config.train.run))
    return TextCascade(student, build_teacher(read_config(teacher)), config.export.cascade_documents)


def build_catalogue(config: Config, size: int):
    """Returns the student in a run folder with random unit vectors of `size` documents."""
    from tfr_listbert.export.text_student import TextStudent
    from tfr_listbert.export.vector_table import VectorTable
    from tfr_listbert.training.rankers import read_ranker

    student = read_ranker(config.train.run)
    vectors = np.random.default_rng(1).standard_normal((size, config.model.vector_size), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = VectorTable([f"p{number}" for number in range(size)], vectors)
    batcher = student.batcher
    return TextStudent(batcher.packer, student.row_scorer, batcher.fields, table, config.export.search_results)


def save(model, output: str) -> None:
    """Writes a SavedModel of the signatures that are measured."""
    signatures = {name: call for name, call in model.build_signatures().items() if name in SIGNATURES}
    tf.saved_model.save(model.build_saved_module(), output, signatures=signatures)


if __name__ == "__main__":
    _, _kind, _path, _output, *_rest = sys.argv
    _config = read_config(_path)
    if _kind == "teacher":
        save(build_teacher(_config), _output)
    elif _kind == "student":
        save(build_student(_config), _output)
    elif _kind == "cascade":
        save(build_cascade(_config, _rest[0]), _output)
    else:
        save(build_catalogue(_config, int(_rest[0])), _output)
