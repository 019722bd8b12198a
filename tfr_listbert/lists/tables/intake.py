"""Rows taken in: scanned, checked against rules, kept in a table, and the others rejected with file and line."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tfr_listbert.lists.tables.database import Database, quote_name, quote_text
from tfr_listbert.lists.tables.formats import MAX_ROW_BYTES, CSVSource, Source
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.lists.tables.rules import HAS_COMMA, Rule, check_rows, clean_numbers, clean_rows, forbid_broken
from tfr_listbert.schema import InputError, RejectedRow

_UNQUOTED, _LONG = "UNQUOTED VALUE", "TOO MANY COLUMNS"
_SWALLOWED = "swallowed"  # ours; DuckDB takes such rows for one with the row before
_UNREADABLE_REASONS = {
    "INVALID ENCODING": "broken encoding: text is not UTF-8, or not what `csv.encoding` says",
    "MISSING COLUMNS": "row has fewer columns than the header",
    _LONG: "row has more columns than the header",
    _UNQUOTED: "quotes around a text are not closed or not doubled",
    _SWALLOWED: "row is inside quotes that a row before it does not close",
    "LINE SIZE OVER MAXIMUM": f"row is longer than {MAX_ROW_BYTES:,} bytes",
}


def load_rows(
    rejections: Rejections,
    database: Database,
    source: Source,
    table: str,
    columns: Mapping[str, str],
    rules: Sequence[Rule],
    late_rules: Sequence[Rule] = (),
    numbers: Iterable[str] = (),
) -> None:
    """Makes a table of the rows that keep all rules; the others are rejected.

    Args:
        rejections: takes the rejected rows.
        database: gets the table.
        source: the files.
        table: name of the table; beside the asked columns it has `_file` and `_row`, numbered in the order of reading.
        columns: column of the source by name in the table, where it is cleaned text.
        rules: as in `check_rows`, after the one that a row could be taken apart.
        late_rules: as in `check_rows`.
        numbers: those of the columns that are numbers.
    """
    target = quote_name(table)
    query = clean_rows(source.scan(columns, keeps_rejects=True), columns)
    query = clean_numbers(query, [name for name in numbers if name in columns], source.decimal)
    database.run(
        f"CREATE TABLE {target} AS {check_rows(query, [forbid_broken(source.broken_reason), *rules], late_rules)}"
    )
    take_unreadable(database, source)
    (rows,) = database.read_row(f"SELECT count(*) FROM {target}")
    require_all_rows(database, source, columns, rows)
    broken = database.read_rows(
        f"SELECT _file, _reason, count(*) FROM {target} WHERE _reason IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )

    def select_broken(path: str) -> str:
        return (
            f"SELECT _row - (SELECT min(_row) FROM {target} WHERE _file = {quote_text(path)}) + 1, _reason, _value "
            f"FROM {target} WHERE _file = {quote_text(path)} AND _reason IS NOT NULL ORDER BY _row"
        )

    report_rejected(rejections, database, source, rows, broken, select_broken)
    database.run(f"DELETE FROM {target} WHERE _reason IS NOT NULL")


def report_summed(
    rejections: Rejections,
    database: Database,
    source: Source,
    columns: Mapping[str, str],
    check: Callable[[list[str]], str],
    build_hint: Callable[[set[str]], str] = lambda reasons: "",
) -> None:
    """Hands on the rejected rows of a source whose rows are not held, but summed as they are read.

    Args:
        rejections: takes them.
        database: has the table `summed`, with `file`, `reason` (NULL where no rule is broken) and `rows`.
        source: the files.
        columns: column of the source by name.
        check: gives for some files the query whose rows have `_row`, `_reason` and `_value`.
        build_hint: gives for the reasons what may help whoever has to mend the rows.
    """
    take_unreadable(database, source)
    (rows,) = database.read_row("SELECT coalesce(sum(rows), 0) FROM summed")
    require_all_rows(database, source, columns, int(rows))
    broken = list(
        database.read_rows("SELECT file, reason, sum(rows) FROM summed WHERE reason IS NOT NULL GROUP BY ALL")
    )

    def select_broken(path: str) -> str:
        return f"SELECT _row, _reason, _value FROM ({check([path])}) WHERE _reason IS NOT NULL ORDER BY _row"

    hint = build_hint({reason for _, reason, _ in broken})
    report_rejected(rejections, database, source, int(rows), broken, select_broken, hint)


def require_all_rows(database: Database, source: Source, columns: Mapping[str, str], rows: int) -> None:
    """Checks that a scan has given every row that can be read.

    DuckDB (2.0.0) cuts a CSV file of more than 8 MB into parts and guesses where in each the first row begins. If the
    first whole row of the last part is broken, all rows behind it are lost without a word where rejects are stored; and
    lines inside quotes may become rows. In one part, without rejects, it does neither: .2 to .3 s for 75 MB.

    Args:
        database: reads the files again.
        source: the files.
        columns: column of the source by name; DuckDB looks at the encoding of those alone that are asked for.
        rows: number of rows that the scan gave, sound or broken.

    Raises:
        InputError: if there are more or fewer.
    """
    if not isinstance(source, CSVSource):
        return
    read = ", ".join(f"count({quote_name(name)})" for name in columns)
    sound, *_ = database.read_row(f"SELECT count(*), {read} FROM ({source.scan(columns)})")
    if sound != rows:
        raise InputError(
            f"`{source.setting}` has {sound:,} rows that can be read, of which a scan in parts gave {rows:,}: a broken "
            "row, or a text of several lines, stands where a part of a large file begins. Mend the broken rows, or "
            "write the files as Parquet."
        )


def take_unreadable(database: Database, source: Source) -> None:
    """Notes in the table `unreadable` the rows that DuckDB itself left out in the scan just run.

    A quote that is not closed makes one row of all rows up to the next quote, which may have more columns than the
    header; each of them is noted.

    Raises:
        InputError: if there is no next quote within the longest row, so that nobody knows what is lost.
    """
    database.run(
        "CREATE TABLE IF NOT EXISTS unreadable (setting VARCHAR, _file VARCHAR, line BIGINT, reason VARCHAR, "
        "value VARCHAR)"
    )
    if not database.read_row("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'")[0]:
        return
    database.run(
        "CREATE TABLE rejects AS SELECT DISTINCT ON (file_path, line) file_path, line, error_type, "
        f"error_type = '{_UNQUOTED}' AND strlen(csv_line) >= {MAX_ROW_BYTES} AS is_endless, "
        f"CASE WHEN error_type IN ('{_UNQUOTED}', '{_LONG}') THEN regexp_extract_all(csv_line, '[^\\r\\n]+') "
        "ELSE [trim(csv_line, chr(10) || chr(13))] END AS rows "
        "FROM reject_errors JOIN reject_scans USING (scan_id, file_id) "
        "ORDER BY file_path, line, byte_position, error_type DESC; DROP TABLE reject_errors; DROP TABLE reject_scans"
    )
    for path, line in database.read_rows("SELECT file_path, line FROM rejects WHERE is_endless ORDER BY ALL"):
        raise InputError(
            f"{path} line {line}: a quote is not closed within {MAX_ROW_BYTES:,} bytes, so that all rows behind it are "
            "lost. Close or remove it; if quotes have no meaning in these files, set `csv.quote` to ''."
        )
    last = "line + sum(len(rows) - 1) OVER (PARTITION BY file_path ORDER BY line)"
    database.run(
        f"INSERT INTO unreadable SELECT {quote_text(source.setting)}, file_path, last - len(rows) + index, "
        f"CASE index WHEN 1 THEN error_type ELSE '{_SWALLOWED}' END, rows[index][:200] "
        f"FROM (SELECT *, {last} AS last, unnest(range(1, len(rows) + 1)) AS index FROM rejects); DROP TABLE rejects"
    )


def report_rejected(
    rejections: Rejections,
    database: Database,
    source: Source,
    rows: int,
    broken: Iterable[tuple[str, str, int]],
    select_broken: Callable[[str], str],
    hint: str = "",
) -> None:
    """Hands on all rejected rows of a source.

    Args:
        rejections: takes them.
        database: has the table `unreadable`.
        source: the files.
        rows: number of rows that could be read, sound or broken.
        broken: file, reason and number of rows that could be read but break a rule.
        select_broken: gives for a file the query for row number (from 1), reason and value of these, in order.
        hint: what may help whoever has to mend the rows.
    """
    of_source = f"FROM unreadable WHERE setting = {quote_text(source.setting)}"
    reasons, files = collections.Counter(), set()
    for path, reason, count in broken:
        reasons[reason] += count
        files.add(path)
    for path, error, count in database.read_rows(f"SELECT _file, reason, count(*) {of_source} GROUP BY ALL"):
        reasons[_UNREADABLE_REASONS.get(error, error.lower())] += count
        rows += count
        files.add(path)
    if any(reason.endswith(HAS_COMMA) for reason in reasons):
        hint = f"{hint} {source.comma_hint}".strip()

    def find_rejected() -> Iterator[RejectedRow]:
        for path in sorted(files):
            query = f"SELECT line, reason, value {of_source} AND _file = {quote_text(path)} ORDER BY line"
            unreadable = [
                RejectedRow(path, line, _UNREADABLE_REASONS.get(error, error.lower()), value)
                for line, error, value in database.read_rows(query)
            ]
            yield from _number_lines(path, source.header_rows, unreadable, database.read_rows(select_broken(path)))

    rejections.add_input(source.setting, rows, reasons, find_rejected(), hint)


def _number_lines(
    path: str, header_rows: int, unreadable: Sequence[RejectedRow], broken: Iterable[tuple[int, str, str]]
) -> Iterator[RejectedRow]:
    """Merges both kinds by line; a row's number counts only readable ones, its line the unreadable before it too."""
    passed = 0
    for row, reason, value in broken:
        line = row + header_rows + passed
        while passed < len(unreadable) and unreadable[passed].line <= line:
            yield unreadable[passed]
            passed += 1
            line += 1
        yield RejectedRow(path, line, reason, value or "")
    yield from unreadable[passed:]
