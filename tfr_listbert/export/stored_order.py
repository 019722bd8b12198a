"""Is anything lost in storing? The order by stored vectors against that of encoding afresh, on the lists of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.distillation.embedding import hash_text
from tfr_listbert.distillation.vectors import read_vectors
from tfr_listbert.export.difference import describe_difference
from tfr_listbert.export.text_cascade import TextCascade
from tfr_listbert.export.text_model import TextModel
from tfr_listbert.export.text_student import TextStudent
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import Document, InputError, RankedList

SWAP_TOLERANCE = 1e-5
"""Documents whose scores are closer than this may change places by the rounding of float32."""


def check_stored_order(config: Config, model: TextModel, asked: Sequence[RankedList]) -> list[str]:
    """Returns a line on what storing changes in the order of lists; none for a model without vectors.

    Documents are left out that are not stored, or with another text than in the lists.

    Args:
        config: reads `export` and `evaluate`.
        model: as it will be saved.
        asked: the lists, those of `evaluate.split`.

    Raises:
        InputError: if weights and vectors are float32 and a list changes its order beyond SWAP_TOLERANCE.
    """
    student = model.student if isinstance(model, TextCascade) else model
    if not isinstance(student, TextStudent) or not student.has_vectors:
        return []
    stored = read_vectors(config.export.vectors)
    hashes = {name: digest for name, (_, _, digest) in stored.index().items()}
    lists = [one for one in (_keep_stored(one, hashes, student.fields) for one in asked) if one.documents]
    if not lists:
        return [f"rank_ids: no document of the {config.evaluate.split} lists is stored to see what storing changes."]
    afresh = [_score_afresh(student, one) for one in lists]
    by_id = [_score_by_id(student, one) for one in lists]
    swaps = [measure_swap(own, new) for own, new in zip(by_id, afresh, strict=True)]
    counts = [sum(len(one.documents) for one in part) for part in (lists, asked)]
    about = f"{counts[0]} of {counts[1]} documents of the {config.evaluate.split} lists are stored with this text"
    if config.export.float16 or stored.dtype == "float16":
        before, after = (
            [ScoredList.build(*pair) for pair in zip(lists, part, strict=True)] for part in (afresh, by_id)
        )
        changed = sum(swap > SWAP_TOLERANCE for swap in swaps)
        difference = describe_difference("rank_ids in float16", config, before, after)
        return [f"{difference} The order of {changed} lists changes, by scores up to {max(swaps):.1e} apart; {about}."]
    _require_same_order(lists[int(np.argmax(swaps))], max(swaps))
    return [f"rank_ids orders {len(lists)} lists as encoding afresh does: no swap beyond {max(swaps):.1e}; {about}."]


def measure_swap(stored: np.ndarray, afresh: np.ndarray) -> float:
    """Returns the largest difference of scores [L] afresh of two documents whose order by stored vectors is another.

    >>> measure_swap(np.array([3.0, 1.0, 2.0]), np.array([0.75, 0.0, 1.0]))  # the first before the last, unlike afresh
    0.25
    """
    by_stored = afresh[np.argsort(-stored, kind="stable")]
    return float(np.max(by_stored - np.minimum.accumulate(by_stored)))


def _keep_stored(ranked_list: RankedList, hashes: Mapping[str, int], fields: Sequence[str]) -> RankedList:
    def is_stored(document: Document) -> bool:
        return hashes.get(document.document_id) == hash_text(document, fields)

    documents = tuple(document for document in ranked_list.documents if is_stored(document))
    return RankedList(ranked_list.query_id, ranked_list.query, documents)


def _score_afresh(student: TextStudent, ranked_list: RankedList) -> np.ndarray:
    documents = ranked_list.documents
    columns = {
        name: tf.constant([[document.fields.get(name, "") for document in documents]]) for name in student.fields
    }
    mask = tf.ones([1, len(documents)], tf.bool)
    return student.score_documents(tf.constant([ranked_list.query]), columns, {}, mask).numpy()


def _score_by_id(student: TextStudent, ranked_list: RankedList) -> np.ndarray:
    ids = [[document.document_id for document in ranked_list.documents]]
    return student.rank_ids(tf.constant([ranked_list.query]), tf.constant(ids))["scores"][0].numpy()


def _require_same_order(ranked_list: RankedList, swap: float) -> None:
    if swap > SWAP_TOLERANCE:
        raise InputError(
            f"With stored vectors documents change places whose scores are {swap:.1e} apart when they are encoded "
            f"afresh, more than {SWAP_TOLERANCE:g}, most for the query {ranked_list.query!r}. Nothing was exported. "
            "Run embed_documents again with this version and on this kind of machine."
        )
