"""The page that shows two systems' rankings side by side, for the queries on which they differ most."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from tfr_listbert.config import CompareConfig, Config
from tfr_listbert.evaluation.comparison.document import format_page
from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard
from tfr_listbert.evaluation.comparison.results import Results, System, SystemRun
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import RankedList

QUERIES_FILE = "queries.html"
_DOCUMENTS_SHOWN = 10
_STYLE = """
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2em; }
.grade { display: inline-block; min-width: 2.2em; text-align: center; border-radius: .3em; background: #eee; }
.best { background: #b7e3b0; } .some { background: #e6efb5; }
"""


def choose_pair(compare: CompareConfig, board: Leaderboard) -> tuple[System, System, str]:
    """Returns the systems of `compare.shown`, or the best two losses, and a note where one to show is missing."""
    by_name = {one.system.name: one.system for one in board.standings}
    losses = [name for name, system in by_name.items() if system.row]
    best = [*losses, *(name for name in by_name if name not in losses)][:2]
    missing = [name for name in compare.shown if name not in by_name]
    names = best if missing or not compare.shown else compare.shown
    note = f"{' and '.join(missing)}, to be shown, came to no end: these are the best instead." if missing else ""
    return by_name[names[0]], by_name[names[1]], note


def format_query_page(results: Results, first: System, second: System, config: Config, note: str = "") -> str:
    """Returns an HTML page with the `compare.queries_shown` queries on which two systems differ most, half each way.

    Each system is shown by its first finished run, since a mean over seeds has no ranking.

    Args:
        results: of the comparison.
        first: a system with a finished run.
        second: another.
        config: says by which metric they differ, and which text field comes first.
        note: what a reader must know first, or "".
    """
    systems, metric = (first, second), config.train.metric
    fields = [field.name for field in config.text.fields]
    runs = [system.finished[0] for system in systems]
    names = [f"{one.name} (seed {run.seed})" if one.row else one.name for one, run in zip(systems, runs, strict=True)]
    parts = [f"<p>{html.escape(note)}</p>"] if note else []
    for name, chosen in zip(names, _choose_queries(runs, metric, config.compare.queries_shown), strict=True):
        parts.append(f"<h2>Where {html.escape(name)} is ahead</h2>")
        for index in chosen:
            columns = [
                f"<div><b>{html.escape(own)}</b>, {metric} {run.per_list[metric][index]:.3f}"
                f"{_format_ranking(run.scored[index], results.lists[index], fields)}</div>"
                for own, run in zip(names, runs, strict=True)
            ]
            parts.append(_format_query(results.lists[index], columns))
    title = f"{names[0]} and {names[1]}, query by query"
    return format_page("\n".join([f"<h1>{html.escape(title)}</h1>", *parts]), title, _STYLE)


def _choose_queries(runs: Sequence[SystemRun], metric: str, count: int) -> tuple[list[int], list[int]]:
    """Returns the places of the lists on which the first run, and on which the second, is furthest ahead."""
    differences = runs[0].per_list[metric] - runs[1].per_list[metric]
    order = np.argsort(differences, kind="stable").tolist()
    first = [place for place in order[::-1][: count - count // 2] if differences[place] > 0]
    return first, [place for place in order[: count // 2] if differences[place] < 0]


def _format_query(ranked_list: RankedList, columns: Sequence[str]) -> str:
    seen = {1: ", seen in training", 0: ", not seen in training"}.get(ranked_list.is_seen, "")
    about = f"{len(ranked_list.documents)} documents{seen}"
    if ranked_list.query_count:
        about += f", searched {ranked_list.query_count:,} times"
    return f"<h3>{html.escape(ranked_list.query)}</h3><p>{about}</p><div class='pair'>{''.join(columns)}</div>"


def _format_ranking(scored: ScoredList, ranked_list: RankedList, fields: Sequence[str]) -> str:
    order = sorted(
        range(len(scored.scores)), key=lambda slot: (scored.scores[slot], scored.document_ids[slot]), reverse=True
    )
    highest = max(scored.labels)
    rows = []
    for rank, slot in enumerate(order[:_DOCUMENTS_SHOWN], start=1):
        label = float(scored.labels[slot])
        kind = "best" if label == highest and label > 0 else "some" if label > 0 else ""
        texts = ranked_list.documents[slot].fields
        text = next((texts[name] for name in fields if texts.get(name)), "")
        rows.append(
            f'<tr><td>{rank}</td><td><span class="grade {kind}">{label:g}</span></td>'
            f"<td>{html.escape(scored.document_ids[slot])}</td><td>{html.escape(text)}</td></tr>"
        )
    header = "<tr><th></th><th>grade</th><th>document</th><th></th></tr>"
    return f"<table>{header}{''.join(rows)}</table>"
