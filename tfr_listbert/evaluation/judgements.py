"""Grades from outside the lists: of editors, say, or of a simulated shop that knows the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfr_listbert.config import Config
from tfr_listbert.lists.grades import read_grades
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import InputError, RankedList, fold_query

Grades = dict[tuple[str, str], float]
"""The grade of each (folded query, document id)."""


def judge_as_configured(config: Config, lists: Sequence[RankedList]) -> Sequence[RankedList]:
    """Returns `lists` with the grades of `evaluate.judgements` where that is set, or else as they are.

    Raises:
        InputError: as `read_grades` and `judge_lists`.
    """
    judgements = read_configured_grades(config)
    return lists if judgements is None else judge_lists(lists, judgements)


def read_configured_grades(config: Config) -> Grades | None:
    """Returns the grades of `evaluate.judgements`; None where that is not set.

    Raises:
        InputError: as `read_grades`.
    """
    path = config.evaluate.judgements
    return None if path is None else read_grades(path, "evaluate.judgements")


def describe_grades(config: Config, lists: Sequence[RankedList], judgements: Grades | None) -> str:
    """Returns where the grades of `lists` come from, and how many documents are judged; "" for the lists' own."""
    if judgements is not None:
        judged = [sum(key in judgements for key in _list_keys(one)) for one in lists]
        documents = sum(len(one.documents) for one in lists)
        return (
            f"Grades: {config.evaluate.judgements}. It judges {sum(judged):,} of {documents:,} documents, the others "
            f"count as grade 0, and at least one in {sum(map(bool, judged)):,} of {len(lists):,} lists."
        )
    if config.data.reader == "clicks":
        return "Grades: clicks, which favour what the shop showed on top (`shown`)."
    return ""


def _list_keys(ranked_list: RankedList) -> list[tuple[str, str]]:
    query = fold_query(ranked_list.query)
    return [(query, document.document_id) for document in ranked_list.documents]


def judge_lists(lists: Iterable[RankedList], judgements: Grades) -> list[RankedList]:
    """Returns `lists` with the judged grades as labels; a document that nobody judged gets 0.

    A list keeps its documents: what was judged and is not in it counts in no metric.

    Raises:
        InputError: if no document of the lists is judged.
    """
    judged, found = [], False
    for ranked_list in lists:
        keys = _list_keys(ranked_list)
        found = found or any(key in judgements for key in keys)
        documents = zip(ranked_list.documents, keys, strict=True)
        judged.append(
            dataclasses.replace(
                ranked_list,
                documents=tuple(dataclasses.replace(doc, label=judgements.get(key, 0.0)) for doc, key in documents),
            )
        )
    if not found:
        raise InputError("`evaluate.judgements` judges no document of these lists; are its ids and queries the same?")
    return judged


def relabel(scored: Sequence[ScoredList], lists: Sequence[RankedList]) -> list[ScoredList]:
    """Returns `scored` with the labels of `lists`.

    Raises:
        InputError: unless both are the same lists of the same documents in the same order.
    """
    found = [(one.query_id, list(one.document_ids)) for one in scored]
    asked = [(one.query_id, [document.document_id for document in one.documents]) for one in lists]
    if found != asked:
        strange = next((one for one, other in zip(found, asked, strict=False) if one != other), ("", []))[0]
        raise InputError(
            f"A run has scored other lists than those of the test split: {len(found)} of them for {len(asked)}, the "
            f"first other one of query {strange!r}. Prepare the lists again as they were, or remove the run."
        )
    labels = [np.array([document.label for document in one.documents]) for one in lists]
    return [dataclasses.replace(one, labels=own) for one, own in zip(scored, labels, strict=True)]
