"""The systems that a ranker is measured against: random order, BM25, the order shown, and a linear ranker."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from tfr_listbert.config import Config
from tfr_listbert.evaluation.bag_of_words import BagOfWordsRanker
from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.lists.elwc import list_splits, read_lists
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import Document, RankedList

Scorer = Callable[[RankedList], np.ndarray]
"""A list to the scores [L] of its documents."""

_BAG_OF_WORDS_LISTS = 10_000  # all are held in memory


def build_baselines(bm25: BM25, lists: Sequence[RankedList]) -> dict[str, Scorer]:
    """Returns the baselines for `lists` by name: `random`, `bm25` and, where every list has positions, `shown`."""
    baselines = {"random": score_at_random, "bm25": build_bm25_scorer(bm25)}
    if all(document.position > 0 for ranked_list in lists for document in ranked_list.documents):
        baselines["shown"] = score_as_shown
    return baselines


def build_bm25_scorer(bm25: BM25) -> Scorer:
    """Returns the scorer of `bm25`, which knows all documents that will be asked for."""
    return lambda one: bm25.score(one.query, [document.document_id for document in one.documents])


def build_bag_of_words_scorer(config: Config, bm25: BM25) -> Scorer:
    """Returns what `BagOfWordsRanker` learns from the training lists; of many, from the first 10,000.

    Shards hold lists in the order of a hash, so these are a fair sample.
    """
    lists = list(itertools.islice(read_lists(config.data.lists, "train"), _BAG_OF_WORDS_LISTS))
    return BagOfWordsRanker(lists, bm25, config.data.bm25.language).score


def score_with(scorer: Scorer, lists: Sequence[RankedList]) -> list[ScoredList]:
    """Returns `lists` with the scores of `scorer`."""
    return [ScoredList.build(one, scorer(one)) for one in lists]


def score_at_random(ranked_list: RankedList) -> np.ndarray:
    """Returns scores that a hash of query and document decides: one random order, the same each time."""
    keys = (f"{ranked_list.query_id}\x1f{document.document_id}" for document in ranked_list.documents)
    digests = (hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.array([int.from_bytes(digest) / 2**64 for digest in digests])


def score_as_shown(ranked_list: RankedList) -> np.ndarray:
    """Returns scores in the order of the positions at which the shop showed the documents."""
    return np.array([-float(document.position) for document in ranked_list.documents])


def build_bm25(config: Config) -> BM25:
    """Returns stemmed BM25 over all of `data.fields`, with the statistics of all prepared lists.

    A ranker may read fewer fields; BM25 is judged at its best, and so is like the feature that `prepare_data` computes.
    """

    def join(document: Document) -> str:
        return " ".join(document.fields.get(name, "") for name in config.data.fields)

    documents: dict[str, str] = {}
    for split in list_splits(config.data.lists):
        for ranked_list in read_lists(config.data.lists, split):
            for document in ranked_list.documents:
                documents.setdefault(document.document_id, join(document))  # its first text
    return BM25(documents, **dataclasses.asdict(config.data.bm25))
