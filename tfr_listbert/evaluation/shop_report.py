"""The simulated shop made, and how hard it is: measured before any ranker is trained on it."""

from __future__ import annotations

import datetime
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from tfr_listbert.config import Config
from tfr_listbert.evaluation.bag_of_words import BagOfWordsRanker
from tfr_listbert.evaluation.judgements import judge_lists
from tfr_listbert.evaluation.systems import Scorer, build_bm25_scorer, score_as_shown, score_at_random, score_with
from tfr_listbert.lists.bm25 import BM25, parse_words
from tfr_listbert.lists.grades import read_grades
from tfr_listbert.lists.readers.clicks import ClicksReader
from tfr_listbert.lists.readers.grading import GRADINGS
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.shop.files import CATALOGUE_FILE, GRADES_FILE, LOG_FILE, write_shop
from tfr_listbert.lists.shop.simulation import TEST_WINDOW, TRAINING_WINDOW, simulate
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.metrics import compute_metrics
from tfr_listbert.schema import InputError, RankedList, fold_query

REPORT_FILE = "report.json"

_FIELDS = ("title", "brand", "description")
_MIN_IMPRESSIONS = 50  # of a product in a list: the paper's, for both ways of grading, so that they can be compared
_RELEVANT_FROM = 3  # the lowest grade that satisfies a visitor
_SHARED_WORD_RATE = 1 / 3
_ORACLE_LEAD = 0.15


def simulate_shop(config: Config) -> None:
    """Writes the simulated shop into `shop.output`, and with it `report.json`, which it also prints as text."""
    folder = Path(config.shop.output)
    write_shop(simulate(config.shop), folder)
    report = build_report(folder)
    (folder / REPORT_FILE).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(
        f"Wrote {CATALOGUE_FILE}, {LOG_FILE}, {GRADES_FILE} and {REPORT_FILE} to {folder}.\n\n{format_report(report)}"
    )


def build_report(folder: str | Path) -> dict[str, Any]:
    """Returns how hard a simulated shop is; every measure is against its true grades.

    Args:
        folder: what `write_shop` wrote.

    Returns:
        - `lists`: number of lists of the `training` and the `test` window, and of test lists whose query is `unseen`;
          lists of one product, and test lists without any of a true grade above 0, are left out of everything.
        - `shared_word_rate`: fraction of the test queries that share a stemmed word with a product of grade 3 or 4.
        - `ndcg_10`: by ranker its mean over the `test` lists, and over `seen` and `unseen` ones apart: `random` order,
          the order `shown`, `bm25` of all text, `bag_of_words` trained on training clicks, and the `oracle`.
        - `gradings`: for each way of grading clicks, how near its grades in the training lists come to the true ones:
          `ndcg_10` of their order, 0 where no product has a true grade above 0, and the mean `kendall_tau` (tau-b) of a
          list.
        - `conditions`: whether each condition on a good shop holds.
    """
    folder = Path(folder)
    judgements = read_grades(folder / GRADES_FILE, "shop.output")
    lists = {grading: _read_lists(folder, grading) for grading in GRADINGS}
    training, shown = _split(lists[GRADINGS[-1]])
    if not training or not shown:
        window = "test" if training else "training"
        raise InputError(
            f"{folder} has no list of the {window} window: products are shown too seldom. Raise `shop.sessions`."
        )
    test = [one for one in judge_lists(shown, judgements) if _labels(one).any()]
    seen = {fold_query(one.query) for one in training}
    is_seen = np.asarray([fold_query(one.query) in seen for one in test])
    report = {
        "lists": {"training": len(training), "test": len(test), "unseen": int((~is_seen).sum())},
        "shared_word_rate": float(np.mean([_shares_word(one) for one in test])),
        "ndcg_10": _compare_rankers(training, test, is_seen),
        "gradings": {grading: _compare_grades(_split(read)[0], judgements) for grading, read in lists.items()},
    }
    return {**report, "conditions": _check_conditions(report)}


def format_report(report: Mapping[str, Any]) -> str:
    """Returns a report of `build_report` as text to read."""
    counts, conditions = report["lists"], report["conditions"]
    lines = [
        "Lists: {training:,} of the training window, {test:,} of the test window, {unseen:,} of these of queries that "
        "the training window has not.".format(**counts),
        f"{report['shared_word_rate']:.0%} of the test queries share a word with a product that satisfies them.",
        "",
        f"{'NDCG@10 on true grades':<32}{'test':>8}{'seen':>8}{'unseen':>8}",
    ]
    for ranker, values in report["ndcg_10"].items():
        lines.append(
            f"{ranker:<32}" + "".join(f"{values.get(part, math.nan):>8.3f}" for part in ("test", "seen", "unseen"))
        )
    lines += ["", f"{'Click grades of training lists':<32}{'NDCG@10':>8}{'tau':>8}"]
    for grading, values in report["gradings"].items():
        lines.append(f"{grading:<32}{values['ndcg_10']:>8.3f}{values['kendall_tau']:>8.3f}")
    lines += ["", *(f"{'holds' if holds else 'FAILS'}: {condition}" for condition, holds in conditions.items())]
    return "\n".join(lines)


def _read_lists(folder: Path, grading: str) -> list[RankedList]:
    """Returns the lists of both windows, of two products or more."""
    train_window, test_window = (
        (first, first + datetime.timedelta(days=days)) for first, days in (TRAINING_WINDOW, TEST_WINDOW)
    )
    reader = ClicksReader(
        log=str(folder / LOG_FILE),
        catalogue=str(folder / CATALOGUE_FILE),
        columns={"time": "day"},
        grading=grading,
        min_impressions=_MIN_IMPRESSIONS,
        train_window=train_window,
        test_window=test_window,
    )
    with tempfile.TemporaryDirectory() as scratch, Rejections(Path(scratch) / "rejected.csv", 1.0) as rejections:
        request = ReadRequest(Path(scratch), rejections, _FIELDS, split_by="time")
        return [ranked_list for ranked_list in reader.read(request) if len(ranked_list.documents) > 1]


def _split(lists: Sequence[RankedList]) -> tuple[list[RankedList], list[RankedList]]:
    training, test = ([one for one in lists if one.split == split] for split in ("train", "test"))
    return training, test


def _labels(ranked_list: RankedList) -> np.ndarray:
    return np.asarray([document.label for document in ranked_list.documents])


def _shares_word(judged: RankedList) -> bool:
    words = set(parse_words(judged.query))
    satisfying = (document for document in judged.documents if document.label >= _RELEVANT_FROM)
    return any(not words.isdisjoint(parse_words(document.text)) for document in satisfying)


def _compare_rankers(
    training: Sequence[RankedList], test: Sequence[RankedList], is_seen: np.ndarray
) -> dict[str, dict[str, float]]:
    """Returns the mean NDCG@10 of each ranker; the labels of `test` are the true grades."""
    bm25 = BM25({document.document_id: document.text for one in (*training, *test) for document in one.documents})
    rankers: dict[str, Scorer] = {
        "random": score_at_random,
        "shown": score_as_shown,
        "bm25": build_bm25_scorer(bm25),
        "bag_of_words": BagOfWordsRanker(training, bm25).score,
        "oracle": _labels,
    }
    result = {}
    for name, scorer in rankers.items():
        values = compute_metrics(score_with(scorer, test))["ndcg_10"]
        parts = {"test": values, "seen": values[is_seen], "unseen": values[~is_seen]}
        result[name] = {part: float(np.mean(of_part)) for part, of_part in parts.items() if len(of_part)}
    return result


def _compare_grades(graded: Sequence[RankedList], judgements: dict[tuple[str, str], float]) -> dict[str, float]:
    """Returns how near the labels of lists come to the true grades."""
    judged = judge_lists(graded, judgements)
    labels = {one.query_id: _labels(one) for one in graded}
    taus = [scipy.stats.kendalltau(labels[one.query_id], _labels(one)).statistic for one in judged]
    ndcg = compute_metrics(score_with(lambda one: labels[one.query_id], judged))["ndcg_10"]
    return {
        "ndcg_10": float(np.mean(ndcg)),
        "kendall_tau": float(np.nanmean(taus)),  # not a number where all products have the same grade
    }


def _check_conditions(report: Mapping[str, Any]) -> dict[str, bool]:
    lead = {name: report["ndcg_10"]["oracle"]["test"] - values["test"] for name, values in report["ndcg_10"].items()}
    return {
        "at least a third of the queries share a word with a relevant product": (
            report["shared_word_rate"] >= _SHARED_WORD_RATE
        ),
        **{
            f"{name} leaves at least {_ORACLE_LEAD} NDCG@10 to the oracle": lead[name] >= _ORACLE_LEAD
            for name in ("bm25", "bag_of_words")
        },
    }
