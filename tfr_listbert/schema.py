"""The one form of a ranked list, and the one home of every feature name and constant that several parts share."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

PADDING_LABEL = -1.0
"""Label of an empty slot in a dense [B, L] tensor; TF-Ranking takes every label below 0 for padding."""

PADDING_SCORE = -1e9
"""Score of an empty slot in what an exported model answers: below any real score, and finite in JSON."""

# Context features of a stored list.
QUERY_ID = "query_id"
QUERY = "query"
IS_SEEN = "is_seen"
QUERY_COUNT = "query_count"

# Features of each document of a stored list, beside its text fields and numeric features.
DOCUMENT_ID = "document_id"
LABEL = "label"
WEIGHT = "weight"
POSITION = "position"

RESERVED_NAMES = frozenset(
    {QUERY_ID, QUERY, IS_SEEN, QUERY_COUNT, DOCUMENT_ID, LABEL, WEIGHT, POSITION, "mask", "split"}
)
"""Names that no text field and no numeric feature of a list may have."""

BM25_FEATURE = "bm25"
"""Numeric feature that `prepare_data` computes where the source has none."""

VECTOR_FIELD = "listbert_vector"
"""Field of a product's vector in a search engine."""

# Features of each document of a list that a teacher has scored.
TEACHER_SCORE = "teacher_score"
IS_JUDGED = "is_judged"

# Inputs of a served model's signatures, beside the query and its text fields and numeric features.
NUM_DOCUMENTS = "num_documents"
TOKENS = "tokens"
DOCUMENT_IDS = "document_ids"
RESULTS = "results"

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Document:
    """One document (product) of a list.

    Attributes:
        document_id: the shop's own id of the product; unique within a list.
        fields: text by field name; a field that is missing is absent or "".
        features: number by feature name; NaN means "missing".
        label: grade, a finite number >= 0; higher is more relevant.
        weight: weight of the document in the loss, >= 0.
        position: rank at which the shop showed it, from 1; 0 when it is not known.
    """

    document_id: str
    fields: Mapping[str, str]
    label: float
    features: Mapping[str, float] = dataclasses.field(default_factory=dict)
    weight: float = 1.0
    position: int = 0

    @property
    def text(self) -> str:
        """The text of all fields, one after the other."""
        return " ".join(self.fields.values())


@dataclasses.dataclass(frozen=True)
class RankedList:
    """A query and the documents that are ranked for it.

    Attributes:
        query_id: unique within a split; the query's text where the source has no id.
        query: what the visitor typed.
        documents: in the order in which the source showed or listed them.
        query_count: how often the query was asked in the source; 0 when it is not known.
        is_seen: 1 if the same query (folded by `fold_query`) is in the training split, 0 if not, -1 when not known.
        split: the split that the source itself assigns (a time window, a column), or "" where it assigns none.
    """

    query_id: str
    query: str
    documents: tuple[Document, ...]
    query_count: int = 0
    is_seen: int = -1
    split: str = ""


def set_feature(ranked_list: RankedList, name: str, values: Iterable[float]) -> RankedList:
    """Returns the list with the feature `name` of its documents set to `values` [L].

    >>> one = RankedList("1", "red dress", (Document("a", {}, 1.0, {"price": 2.0}), Document("b", {}, 0.0)))
    >>> [document.features for document in set_feature(one, "bm25", [0.5, 0.0]).documents]
    [{'price': 2.0, 'bm25': 0.5}, {'bm25': 0.0}]
    """
    documents = tuple(
        dataclasses.replace(document, features={**document.features, name: float(value)})
        for document, value in zip(ranked_list.documents, values, strict=True)
    )
    return dataclasses.replace(ranked_list, documents=documents)


@dataclasses.dataclass(frozen=True)
class RejectedRow:
    """A row of a source that could not be used.

    Attributes:
        source: path of the file.
        line: number of the row in that file, from 1, the header counted; 0 when the row has no line of its own.
        reason: the rule that it breaks, in words; rows of one kind share one reason, so that reasons can be counted.
        value: what came, cut to 200 characters.
    """

    source: str
    line: int
    reason: str
    value: str = ""


class InputError(ValueError):
    """Input or a setting that its owner can mend. Scripts print the message alone and exit with code 2."""


class DivergedError(InputError):
    """A model whose loss, gradient or scores are no longer numbers: its learning rate is too high.

    Attributes:
        progress: where training was then (`training.checkpoints.Progress`); None where nothing was being trained.
    """

    progress: Any = None


def fold_query(query: str) -> str:
    """Returns the query with case, white space and Unicode's ways to write it folded, as splits compare queries.

    >>> fold_query("  Red   DRESS "), fold_query("cafe\\u0301") == fold_query("caf\\u00e9")
    ('red dress', True)
    """
    return " ".join(unicodedata.normalize("NFKC", query).casefold().split())
