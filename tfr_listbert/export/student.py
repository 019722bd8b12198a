"""A student made ready for its export, and the requests on which it is tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfr_listbert.config import Config, read_config, require
from tfr_listbert.distillation.vectors import read_vectors
from tfr_listbert.export.cascade import TextCascade
from tfr_listbert.export.requests import RequestBuilder, ServedRequest
from tfr_listbert.export.signatures import TextRanker
from tfr_listbert.export.student_signatures import TextStudent, VectorTable
from tfr_listbert.schema import DOCUMENT_IDS, QUERY, RESULTS, RankedList
from tfr_listbert.training.rankers import Ranker
from tfr_listbert.training.run_folder import compute_version


def build_text_student(config: Config, student: Ranker, teacher: TextRanker | None = None) -> TextStudent:
    """Returns a trained student as it is exported, with the vectors in `export.vectors` if there are any.

    Args:
        config: reads `export`, and of which run the student is.
        student: the trained student.
        teacher: ranks its first documents anew; none when None.

    Raises:
        InputError: if the vectors are not whole or not of this student, or its teacher is a student.
    """
    batcher, settings, table = student.batcher, config.export, None
    if settings.vectors is not None:
        stored = read_vectors(settings.vectors, compute_version(config.train.run, config.evaluate.checkpoint))
        table = VectorTable(stored.read_ids(), stored.read_vectors())
    if teacher is not None:
        is_ranker = not read_config(Path(settings.cascade) / "config.yaml").model.is_student
        require(is_ranker, "export.cascade", "must name the run folder of a ranker, not a student's", settings.cascade)
    parts = (batcher.packer, student.row_scorer, batcher.fields, table, settings.search_results)
    return TextStudent(*parts) if teacher is None else TextCascade(teacher, *parts, settings.cascade_documents)


@dataclasses.dataclass(frozen=True)
class StudentRequestBuilder(RequestBuilder):
    """Builds requests for a student.

    Attributes:
        has_vectors: whether it ranks documents by their ids.
        is_cascade: whether a teacher ranks its first documents anew.
    """

    has_vectors: bool = False
    is_cascade: bool = False

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the signatures."""
        others = tuple(name for name in super().signatures if name != "score_tokens")
        by_id = ("rank_ids", "search") if self.has_vectors else ()
        both = ("cascade_ids",) if self.has_vectors and self.is_cascade else ()
        return (*others, "encode_query", "encode_document", *by_id, *both)

    @property
    def timed_signature(self) -> str:
        """The signature whose latency is measured."""
        if not self.has_vectors:
            return super().timed_signature
        return "cascade_ids" if self.is_cascade else "rank_ids"

    def ask(self, name: str, signature_name: str, lists: Sequence[RankedList]) -> ServedRequest:
        """Returns a request of a signature for some lists."""
        columns = self.build_columns(lists)
        if signature_name == "encode_query":
            return ServedRequest(name, signature_name, {QUERY: columns[QUERY]})
        if signature_name == "encode_document":
            inputs = {field: [text for row in columns[field] for text in row] for field in self.fields}
            return ServedRequest(name, signature_name, inputs)
        if signature_name in ("rank_ids", "cascade_ids"):
            slots = max(len(one.documents) for one in lists)
            ids = [[document.document_id for document in one.documents] for one in lists]
            padded = [[*row, *[""] * (slots - len(row))] for row in ids]
            others = columns if signature_name == "cascade_ids" else {QUERY: columns[QUERY]}
            return ServedRequest(name, signature_name, {**others, DOCUMENT_IDS: padded})
        if signature_name == "search":
            return ServedRequest(name, signature_name, {QUERY: columns[QUERY], RESULTS: [0] * len(lists)})
        return super().ask(name, signature_name, lists)

    def build_bad(self, good: ServedRequest) -> list[ServedRequest]:
        """Returns requests that must be refused, made of a good one of `serving_default`."""
        bad = [one for one in super().build_bad(good) if one.signature_name != "score_tokens"]
        if self.has_vectors:
            queries, ids = good.inputs[QUERY], [["a"]] * len(good.inputs[QUERY])
            bad += [
                ServedRequest("fewer queries than lists of ids", "rank_ids", {QUERY: queries[:1], DOCUMENT_IDS: ids}),
                ServedRequest("less than no results", "search", {QUERY: queries[:1], RESULTS: [-1]}),
            ]
        return bad
