"""Measures a trained ranker on a split, beside random order, BM25, the shop's own order and a linear ranker."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import tqdm

from tfr_listbert.config import Config
from tfr_listbert.evaluation.intervals import bootstrap_interval, format_interval, list_ends
from tfr_listbert.evaluation.judgements import describe_grades, judge_lists, read_configured_grades, relabel
from tfr_listbert.evaluation.significance import LEVEL, holm, paired_randomization_test
from tfr_listbert.evaluation.slices import slice_lists
from tfr_listbert.evaluation.systems import build_bag_of_words_scorer, build_baselines, build_bm25, score_with
from tfr_listbert.folders import replace_folder
from tfr_listbert.lists.elwc import list_splits, read_lists
from tfr_listbert.metrics import ScoredList, compute_metrics, summarize_metrics
from tfr_listbert.schema import RankedList
from tfr_listbert.training.checkpoints import describe_unfinished
from tfr_listbert.training.rankers import Ranker, read_ranker, score_split
from tfr_listbert.training.run_folder import compute_version, describe_other_lists

RANKER = "ranker"
SHOWN_METRIC = "ndcg_10"
"""The metric of the printed table."""
RUN_FILE = "run.trec"
"""The ranker's rankings, in the folder of the results."""

_SLICES = {"all": "all queries", "seen in training": "queries seen in training", "unseen": "unseen queries"}

PerList = Mapping[str, np.ndarray]


def evaluate_ranker(config: Config) -> None:
    """Evaluates the run `train.run` on `evaluate.split`, writes the results and prints a table.

    Writes `metrics.json`, `per_query.csv` and `run.trec` to `evaluate.output`, all three or none.

    Raises:
        InputError: if run, lists or judgements are missing or do not fit, or `evaluate.output` holds something else.
    """
    output = _find_output(config)
    lists, judgements = list(read_lists(config.data.lists, config.evaluate.split)), read_configured_grades(config)
    lists = lists if judgements is None else judge_lists(lists, judgements)
    grades = describe_grades(config, lists, judgements)
    ranker = read_ranker(config.train.run, config.evaluate.checkpoint)  # before a folder is made in that of the run
    with replace_folder(output, (RUN_FILE, "metrics.json", "per_query.csv"), "evaluate.output") as folder:
        results = _evaluate(config, lists, grades, ranker, folder)
    print(format_results(results))
    print(f"Wrote metrics.json, per_query.csv and {RUN_FILE} to {output}.")


def _find_output(config: Config) -> Path:
    return Path(config.evaluate.output or Path(config.train.run) / "evaluation" / config.evaluate.split)


def read_results(config: Config) -> dict[str, Any] | None:
    """Returns what `evaluate` has found of the checkpoint that `train.run` and `evaluate` name; None if it has not."""
    path = _find_output(config) / "metrics.json"
    if not path.exists():
        return None
    results = json.loads(path.read_text(encoding="utf-8"))
    return results if results.get("version") == compute_version(config.train.run, config.evaluate.checkpoint) else None


def _evaluate(config: Config, lists: Sequence[RankedList], grades: str, ranker: Ranker, folder: Path) -> dict[str, Any]:
    """Writes the three files to `folder` and returns what `metrics.json` holds."""
    settings = config.evaluate
    ranked = relabel(_score_ranker(config, ranker, len(lists)), lists)
    bm25 = build_bm25(config)
    scorers = build_baselines(bm25, lists)
    if "train" in list_splits(config.data.lists):
        scorers["bag_of_words"] = build_bag_of_words_scorer(config, bm25)
    scored = {name: score_with(scorer, lists) for name, scorer in scorers.items()}
    scored[RANKER] = ranked
    per_list = {name: compute_metrics(system, settings.relevant_from) for name, system in scored.items()}
    slices = {name: chosen for name, chosen in slice_lists(lists).items() if name in _SLICES}
    results = _compare(config, per_list, slices, grades)
    warnings = [describe_other_lists(config.train.run, config.data.lists), describe_unfinished(config.train.run)]
    if any(warnings):
        results["warning"] = "\n".join(filter(None, warnings))
    _write_results(folder, results, per_list, lists, scored[RANKER])
    return results


def _score_ranker(config: Config, ranker: Ranker, count: int) -> list[ScoredList]:
    scored = score_split(config, ranker, config.evaluate.split)
    return list(tqdm.tqdm(scored, total=count, desc="score", unit="list", mininterval=2))


def _compare(
    config: Config, per_list: Mapping[str, PerList], slices: Mapping[str, np.ndarray], grades: str
) -> dict[str, Any]:
    results: dict[str, Any] = {
        "split": config.evaluate.split,
        "run": config.train.run,
        "version": compute_version(config.train.run, config.evaluate.checkpoint),
        "grades": grades,
        "slices": {},
    }
    for name, chosen in slices.items():
        own = {system: {key: values[chosen] for key, values in table.items()} for system, table in per_list.items()}
        results["slices"][name] = _compare_systems(config, own)
    return results


def _compare_systems(config: Config, per_list: Mapping[str, PerList]) -> dict[str, dict[str, Any]]:
    """Returns the measures of each system on the same lists, p-values corrected for their number."""
    rows = {system: _measure(config, table, per_list[RANKER]) for system, table in per_list.items()}
    others = [system for system in rows if system != RANKER]
    for system, p in zip(others, holm([rows[system]["ranker_p"] for system in others]).tolist(), strict=True):
        rows[system]["ranker_p"] = p
    return rows


def _measure(config: Config, table: PerList, ranker: PerList) -> dict[str, Any]:
    """Returns a system's means, its interval, and how the ranker differs from it."""
    resamples, seed = config.evaluate.resamples, config.evaluate.seed
    difference = ranker[SHOWN_METRIC] - table[SHOWN_METRIC]
    return {
        **summarize_metrics(table),
        "interval": list_ends(bootstrap_interval(table[SHOWN_METRIC], resamples, seed)),
        "ranker_difference": float(difference.mean()),
        "ranker_p": paired_randomization_test(ranker[SHOWN_METRIC], table[SHOWN_METRIC], resamples, seed),
    }


def format_results(results: Mapping[str, Any]) -> str:
    """Returns the table of `metrics.json` that `evaluate` prints: NDCG@10 with 95 % interval, by slice."""
    lines = []
    for name, systems in results["slices"].items():
        any_system = next(iter(systems.values()))
        bare = any_system["lists_without_relevant"]
        told = (
            f", {bare} of them without a relevant document, which count 0 in MRR, and in NDCG unless a grade is above 0"
        )
        lines.append(f"{results['split']}, {_SLICES[name]}: {any_system['lists']} lists{told if bare else ''}")
        lines.append(f"  {'system':12} {'NDCG@10':>8} {'95 % interval':>17} {'ranker better by':>17} {'p':>7}")
        for system, row in systems.items():
            against = "" if system == RANKER else f" {row['ranker_difference']:>+17.4f} {row['ranker_p']:>7.4f}"
            lines.append(f"  {system:12} {row[SHOWN_METRIC]:>8.4f} {format_interval(row['interval']):>17}{against}")
    lines.append("p: of no difference from the ranker on other queries, after Holm in a table; other runs may differ.")
    lines += list_warnings(results)
    return "\n".join([*lines, *filter(None, [results.get("grades"), results.get("warning")])])


def list_warnings(results: Mapping[str, Any], ranker: str = "the ranker") -> list[str]:
    """Returns a line on each system that the ranker, called `ranker`, is significantly worse than."""
    return [
        f"Beware: {ranker} is significantly worse than {name} (p = {row['ranker_p']:.4f})."
        for name, row in results.get("slices", {}).get("all", {}).items()
        if name != RANKER and row["ranker_difference"] < 0 and row["ranker_p"] < LEVEL
    ]


def _write_results(
    folder: Path,
    results: Mapping[str, Any],
    per_list: Mapping[str, PerList],
    lists: Sequence[RankedList],
    scored: Sequence[ScoredList],
) -> None:
    (folder / "metrics.json").write_text(json.dumps(results, indent=2) + "\n")
    with open(folder / "per_query.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        metrics = list(per_list[RANKER])
        writer.writerow(["query_id", "query", "is_seen", "documents", "system", *metrics])
        for system, table in per_list.items():
            for row, one in enumerate(lists):
                values = [f"{table[metric][row]:.6f}" for metric in metrics]
                writer.writerow([one.query_id, one.query, one.is_seen, len(one.documents), system, *values])
    with open(folder / RUN_FILE, "w", encoding="utf-8") as file:
        file.writelines(format_trec(scored))


def format_trec(scored: Sequence[ScoredList]) -> list[str]:
    """Returns the lines of a TREC run: query id, Q0, document id, rank, score, tag.

    White space and % in ids are encoded as in URLs.

    >>> one = ScoredList("red dress", ["a", "b"], np.array([0.0, 1.0]), np.array([0.5, 2.0]))
    >>> format_trec([one])
    ['red%20dress Q0 b 1 2 ranker\\n', 'red%20dress Q0 a 2 0.5 ranker\\n']
    """
    lines = []
    for one in scored:
        ranked = sorted(zip(one.scores.tolist(), one.document_ids, strict=True), reverse=True)  # ties as in trec_eval
        for rank, (score, document_id) in enumerate(ranked, start=1):
            names = [re.sub(r"[\s%]", lambda sign: quote(sign[0]), text) for text in (one.query_id, document_id)]
            lines.append(f"{names[0]} Q0 {names[1]} {rank} {score:.9g} {RANKER}\n")
    return lines
