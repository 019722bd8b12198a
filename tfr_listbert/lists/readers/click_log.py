"""A search log of any length summed in one pass: impressions and engagement by query, product and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfr_listbert.lists.readers.documents import require_documents
from tfr_listbert.lists.readers.spellings import add_folding, fold_queries
from tfr_listbert.lists.readers.windows import Window, require_time, split_rows
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import Database, quote_name, quote_text
from tfr_listbert.lists.tables.formats import Source
from tfr_listbert.lists.tables.intake import report_summed
from tfr_listbert.lists.tables.rules import (
    Rule,
    build_number,
    check_rows,
    clean_numbers,
    clean_rows,
    forbid_broken,
    forbid_line_breaks,
    forbid_thousands,
    limit_texts,
    require_numbers,
    require_text,
)
from tfr_listbert.schema import DOCUMENT_ID, POSITION, QUERY, InputError

CLICKS, IMPRESSIONS, TIME = "clicks", "impressions", "time"
_UNKNOWN = "product is not in the catalogue"
_MAX_SEVERAL_RATE = 0.2
"""Share of the clicked rows with several clicks, above which rows are no single impressions but sums."""


def sum_log(
    request: ReadRequest,
    database: Database,
    log: Source,
    columns: Mapping[str, str],
    weights: Mapping[str, float],
    windows: Sequence[Window],
    needs_position: bool,
    folds_queries: bool,
) -> None:
    """Makes the table `shown`: `split`, `query`, `document_id`, `position`, `impressions`, `engagement`.

    Rows are never held: they are checked and summed as they are read, those that break a rule by file and reason.

    Args:
        request: takes the rejected rows.
        database: has the table `documents`; gets the table.
        log: the files.
        columns: column of the log by name: `query`, `document_id`, those of `weights`, and if present `impressions`
            (1 if not), `position` (NULL if not) and `time`.
        weights: what one of each column counts in `engagement`, where an empty value counts 0.
        windows: windows of time by which rows are split; without any, all rows have the split "".
        needs_position: whether a row without a position is rejected.
        folds_queries: whether queries that `fold_query` makes equal are one, written as most impressions of the split
            have it.

    Raises:
        InputError: if no row is in a window, or clicks and impressions cannot be what they are said to be.
    """
    rules = [forbid_broken(log.broken_reason), *_build_rules(columns, weights, needs_position)]

    def check(files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        known = require_documents([quote_name(DOCUMENT_ID)], what=_UNKNOWN)
        rows = clean_rows(log.scan(columns, files, keeps_rejects), (QUERY, DOCUMENT_ID))
        checked = check_rows(clean_numbers(rows, _list_numbers(columns, weights), log.decimal), rules, [known])
        return split_rows(checked, TIME, windows)

    database.run(_build_sums(check(keeps_rejects=True), columns, weights), "summing the log")

    def build_hint(reasons: set[str]) -> str:
        return _describe_catalogue(request, database) if _UNKNOWN in reasons else ""

    if windows:
        _pass_over(request, database, log)
    report_summed(request.rejections, database, log, columns, check, build_hint)
    shown = "SELECT * FROM summed WHERE reason IS NULL AND split IS NOT NULL"
    if folds_queries:
        add_folding(database)
        shown = fold_queries(request, database, shown, "sum(impressions)")
    database.run(f"CREATE VIEW shown AS {shown}")
    _require_clicks(database, log, IMPRESSIONS in columns)


def _pass_over(request: ReadRequest, database: Database, log: Source) -> None:
    """Notes from when to when the log runs, and how many rows are outside the windows."""
    rows, outside, first, last = database.read_row(
        "SELECT coalesce(sum(rows), 0), coalesce(sum(rows) FILTER (reason IS NULL AND split IS NULL), 0), "
        "strftime(min(first), '%Y-%m-%d %H:%M'), strftime(max(last), '%Y-%m-%d %H:%M') FROM summed"
    )
    if outside and outside == rows:
        raise InputError(f"`{log.setting}` runs from {first} to {last}: no row is in a window of `data.options`.")
    request.passed_over["log rows outside the windows"] = int(outside)
    if first:
        request.notes.append(f"the log runs from {first} to {last} (UTC)")


def _require_clicks(database: Database, log: Source, has_impressions: bool) -> None:
    clicks, impressions, clicked, several = database.read_row(
        "SELECT sum(clicks), sum(impressions), sum(clicked), sum(several) FROM shown"
    )
    if not clicks:
        return
    if has_impressions:
        if clicks > impressions:
            raise InputError(
                f"`{log.setting}` has {clicks:,.0f} clicks in {impressions:,.0f} impressions: are "
                "`data.options.columns.clicks` and `impressions` each other's?"
            )
    elif clicks > impressions or several > _MAX_SEVERAL_RATE * clicked:
        raise InputError(
            f"`{log.setting}` has {clicks:,.0f} clicks in {impressions:,.0f} rows, each of which counts as one "
            f"impression; {several:,} of the {clicked:,} rows with a click have several. For rows that are summed "
            "already, name their column in `data.options.columns.impressions`."
        )


def _list_numbers(columns: Mapping[str, str], weights: Mapping[str, float]) -> list[str]:
    return [name for name in (*weights, IMPRESSIONS, POSITION) if name in columns]


def _build_rules(columns: Mapping[str, str], weights: Mapping[str, float], needs_position: bool) -> list[Rule]:
    required = (IMPRESSIONS, POSITION) if needs_position else (IMPRESSIONS,)
    return [
        require_text(QUERY, "no query"),
        require_text(DOCUMENT_ID, "no document id"),
        *limit_texts((QUERY, DOCUMENT_ID)),
        *forbid_line_breaks((QUERY, DOCUMENT_ID)),
        *require_numbers(_list_numbers(columns, weights)),
        *forbid_thousands(name for name in (*weights, IMPRESSIONS) if name in columns),
        *(require_text(name, f"no {name}") for name in required if name in columns),
        *([require_time(TIME)] if TIME in columns else []),
    ]


def _build_sums(checked: str, columns: Mapping[str, str], weights: Mapping[str, float]) -> str:
    values = {
        "query": quote_name(QUERY),
        "document_id": quote_name(DOCUMENT_ID),
        "position": build_number(POSITION) if POSITION in columns else "NULL::DOUBLE",
    }
    impressions = build_number(IMPRESSIONS) if IMPRESSIONS in columns else "1.0::DOUBLE"
    engagement = " + ".join(f"{weight} * coalesce({build_number(name)}, 0)" for name, weight in weights.items())
    keys = ", ".join(f"CASE WHEN is_used THEN {value} END AS {name}" for name, value in values.items())
    clicks = build_number(CLICKS)
    return (
        f"CREATE TABLE summed AS SELECT CASE WHEN _reason IS NOT NULL THEN _file END AS file, _reason AS reason, "
        f"_split AS split, {keys}, sum({impressions}) AS impressions, sum({clicks}) AS clicks, "
        f"count(*) FILTER ({clicks} > 0) AS clicked, count(*) FILTER ({clicks} > 1) AS several, "
        f"sum({engagement}) AS engagement, count(*) AS rows, min(_time) AS first, max(_time) AS last "
        f"FROM (SELECT *, _reason IS NULL AND _split IS NOT NULL AS is_used FROM ({checked})) GROUP BY ALL"
    )


def _describe_catalogue(request: ReadRequest, database: Database) -> str:
    ids = [row[0] for row in database.read_rows("SELECT document_id FROM documents LIMIT 3")]
    catalogue = request.rejections.inputs.get("data.options.catalogue", {})
    lost = "; ".join(f"{reason} ({count:,})" for reason, count in catalogue.get("reasons", {}).items())
    rejected = f" Rows of the catalogue were themselves rejected: {lost}." if lost else ""
    return f"Ids in the catalogue look like {', '.join(map(quote_text, ids))}.{rejected}"
