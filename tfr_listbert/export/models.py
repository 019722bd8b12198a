"""From run folders to what is exported."""

from __future__ import annotations

from tfr_listbert.config import Config, require
from tfr_listbert.distillation.vectors import read_vectors
from tfr_listbert.export.text_cascade import TextCascade
from tfr_listbert.export.text_model import TextModel
from tfr_listbert.export.text_ranker import TextRanker
from tfr_listbert.export.text_student import TextStudent
from tfr_listbert.export.vector_table import VectorTable
from tfr_listbert.training.rankers import Ranker, read_ranker
from tfr_listbert.training.run_folder import compute_version


def build_text_model(config: Config, ranker: Ranker) -> TextModel:
    """Returns a trained ranker or student as it is exported, with vectors and a cascade where `export` asks for them.

    Raises:
        InputError: if these do not fit, or are asked for of a ranker.
    """
    settings = config.export
    if ranker.config.model.is_student:
        rule = f"must be false for a student such as that in {config.train.run}; it has no `score_tokens`"
        require(not settings.onnx, "export.onnx", rule, settings.onnx)
        student = build_text_student(config, ranker)
        return student if settings.cascade is None else _build_cascade(config, student)
    for name in ("vectors", "cascade"):
        rule = f"must be empty for a ranker such as that in {config.train.run}; it is read by a student"
        require(getattr(settings, name) is None, f"export.{name}", rule, getattr(settings, name))
    return build_text_ranker(ranker)


def build_text_ranker(ranker: Ranker) -> TextRanker:
    """Returns a trained ranker as it is exported."""
    batcher = ranker.batcher
    row_tokens = ranker.config.text.row_tokens
    return TextRanker(batcher.packer, ranker.row_scorer, batcher.fields, batcher.features, row_tokens)


def build_text_student(config: Config, student: Ranker) -> TextStudent:
    """Returns a trained student as it is exported, with the vectors in `export.vectors` if there are any.

    Args:
        config: reads `export`, and of which run the student is.
        student: the trained student.

    Raises:
        InputError: if the vectors are not whole or not of this student.
    """
    batcher, settings, table = student.batcher, config.export, None
    if settings.vectors is not None:
        stored = read_vectors(settings.vectors, compute_version(config.train.run, config.evaluate.checkpoint))
        table = VectorTable(stored.read_ids(), stored.read_vectors())
    return TextStudent(batcher.packer, student.row_scorer, batcher.fields, table, settings.search_results)


def _build_cascade(config: Config, student: TextStudent) -> TextCascade:
    teacher = read_ranker(config.export.cascade, setting="export.cascade")
    rule = "must name the run folder of a ranker, not a student's"
    require(not teacher.config.model.is_student, "export.cascade", rule, config.export.cascade)
    return TextCascade(student, build_text_ranker(teacher), config.export.cascade_documents)
