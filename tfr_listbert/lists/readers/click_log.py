"""A search log of any length summed in one pass: impressions and engagement by query, product and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfr_listbert.lists.readers.database import Database, quote_name, quote_text
from tfr_listbert.lists.readers.documents import require_documents
from tfr_listbert.lists.readers.formats import Source
from tfr_listbert.lists.readers.intake import report_summed
from tfr_listbert.lists.readers.request import ReadRequest
from tfr_listbert.lists.readers.rules import (
    Rule,
    build_number,
    check_rows,
    clean_rows,
    drop_nan,
    forbid_broken,
    forbid_line_breaks,
    limit_texts,
    require_numbers,
    require_text,
)
from tfr_listbert.lists.readers.windows import Window, assign_split, require_time
from tfr_listbert.schema import DOCUMENT_ID, POSITION, QUERY, InputError

CLICKS, IMPRESSIONS, TIME = "clicks", "impressions", "time"
_UNKNOWN = "product is not in the catalogue"


def sum_log(
    request: ReadRequest,
    database: Database,
    log: Source,
    columns: Mapping[str, str],
    weights: Mapping[str, float],
    windows: Sequence[Window],
    needs_position: bool,
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

    Raises:
        InputError: if there are more clicks than impressions.
    """
    rules = [forbid_broken(log.broken_reason), *_build_rules(columns, weights, needs_position)]

    def check(files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        known = require_documents([quote_name(DOCUMENT_ID)], what=_UNKNOWN)
        rows = clean_rows(log.scan(columns, files, keeps_rejects), (QUERY, DOCUMENT_ID))
        return check_rows(drop_nan(rows, _list_numbers(columns, weights)), rules, [known])

    database.run(_build_sums(check(keeps_rejects=True), columns, weights, windows), "summing the log")

    def build_hint(reasons: set[str]) -> str:
        return _describe_ids(database) if _UNKNOWN in reasons else ""

    report_summed(request, database, log, columns, check, build_hint)
    if windows:
        (outside,) = database.read_row(
            "SELECT coalesce(sum(rows), 0) FROM summed WHERE reason IS NULL AND split IS NULL"
        )
        request.passed_over["log rows outside the windows"] = int(outside)
    database.run("CREATE VIEW shown AS SELECT * FROM summed WHERE reason IS NULL AND split IS NOT NULL")
    clicks, impressions = database.read_row("SELECT sum(clicks), sum(impressions) FROM shown")
    if clicks and clicks > impressions:
        raise InputError(
            f"`{log.setting}` has {clicks:,.0f} clicks in {impressions:,.0f} impressions: are "
            "`data.options.columns.clicks` and `impressions` each other's?"
            if IMPRESSIONS in columns
            else f"`{log.setting}` has {clicks:,.0f} clicks in {impressions:,.0f} rows, each of which counts as one "
            "impression. For rows that are summed already, name their column in `data.options.columns.impressions`."
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
        *(require_text(name, f"no {name}") for name in required if name in columns),
        *([require_time(TIME)] if TIME in columns else []),
    ]


def _build_sums(
    checked: str, columns: Mapping[str, str], weights: Mapping[str, float], windows: Sequence[Window]
) -> str:
    values = {
        "query": quote_name(QUERY),
        "document_id": quote_name(DOCUMENT_ID),
        "position": build_number(POSITION) if POSITION in columns else "NULL::DOUBLE",
    }
    impressions = build_number(IMPRESSIONS) if IMPRESSIONS in columns else "1.0::DOUBLE"
    engagement = " + ".join(f"{weight} * coalesce({build_number(name)}, 0)" for name, weight in weights.items())
    keys = ", ".join(f"CASE WHEN is_used THEN {value} END AS {name}" for name, value in values.items())
    return (
        f"CREATE TABLE summed AS SELECT CASE WHEN _reason IS NOT NULL THEN _file END AS file, _reason AS reason, "
        f"split, {keys}, sum({impressions}) AS impressions, sum({build_number(CLICKS)}) AS clicks, "
        f"sum({engagement}) AS engagement, count(*) AS rows "
        "FROM (SELECT *, _reason IS NULL AND split IS NOT NULL AS is_used FROM "
        f"(SELECT *, {assign_split(TIME, windows)} AS split FROM ({checked}))) GROUP BY ALL"
    )


def _describe_ids(database: Database) -> str:
    ids = [row[0] for row in database.read_rows("SELECT document_id FROM documents LIMIT 3")]
    return f"Ids in the catalogue look like {', '.join(map(quote_text, ids))}."
