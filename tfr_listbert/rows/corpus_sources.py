"""Where the texts of pre-training come from: columns of files, summed by DuckDB within a fixed amount of memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfr_listbert.config import require
from tfr_listbert.lists.readers.windows import parse_window, require_time, split_rows
from tfr_listbert.lists.tables.database import Database, quote_name, quote_text
from tfr_listbert.lists.tables.encodings import find_encoding
from tfr_listbert.lists.tables.formats import CSVFormat, LinesSource, Source
from tfr_listbert.lists.tables.intake import report_summed
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.lists.tables.rules import (
    Rule,
    build_number,
    check_rows,
    clean_rows,
    forbid_broken,
    limit_texts,
    require_numbers,
    require_text,
)
from tfr_listbert.lists.tables.source import find_files, map_columns, open_source
from tfr_listbert.schema import DOCUMENT_ID, QUERY, InputError

LINE = "text"
"""The one column of a plain text file."""

_COUNT, _TIME = "count", "time"
_CONTROL = "\x01"  # no text holds it, so a line split by it is one column


@dataclasses.dataclass(frozen=True)
class TextColumn:
    """How one column enters a product's text."""

    name: str
    """Column of the file; nested ones as a dotted path."""
    template: str = "{}"
    """Text around the column's value, `{}`; left out whole where the column is empty."""

    def __post_init__(self) -> None:
        """Checks the template."""
        require(self.template.count("{}") == 1, f"fields ({self.name}).template", "must hold {} once", self.template)


@dataclasses.dataclass(frozen=True)
class CorpusSource:
    """A file, or a glob of alike ones, whose rows hold texts: of products by `fields`, or queries by `query`.

    CSV, TSV, JSONL and Parquet are known by their ending, each with or without .gz; a .txt file holds one text per line
    and has the one column `text`. Where neither `fields` nor `query` is given, the column `text` is the text.
    """

    path: str
    """The file, or the glob."""
    fields: tuple[TextColumn, ...] = ()
    """Columns that make a product's text, in this order."""
    query: str = ""
    """Column of the queries of a log or a list of queries."""
    count: str = ""
    """Column that says how often the query of a row was searched; each row counts as one search when empty."""
    document_id: str = ""
    """Column of the product shown, in a log with a row for each: a query then counts as often as the product that was
    shown most for it."""
    time: str = ""
    """Column of the time of a row of the log; read with `window` only."""
    window: tuple[Any, ...] = ()
    """First day or moment of the rows that are taken, and the first one after it; all rows when empty."""
    csv: CSVFormat | None = None
    """How CSV files are written; when empty as most programs do, in Latin-1 unless all is valid UTF-8."""

    def __post_init__(self) -> None:
        """Checks which settings go together."""
        require(not (self.fields and self.query), "fields and query", "must not both be given", self.query)
        for name in ("count", "document_id", "time"):
            require(bool(self.query) or not getattr(self, name), name, "is read with `query` only", getattr(self, name))
        require(bool(self.time) == bool(self.window), "time and window", "go together", [self.time, list(self.window)])
        names = [field.name for field in self.fields]
        rule = "must have different names, also without regard to case"
        require(len({name.casefold() for name in names}) == len(names), "fields", rule, names)


def create_texts(database: Database) -> None:
    """Makes the empty table `texts`: `key` (the text with case and white space folded), `text`, `kind`, `count`.

    A kind is `products`, `pairs` (of a query and a product) or `queries`.
    """
    database.run("CREATE TABLE texts (key VARCHAR, text VARCHAR, kind VARCHAR, count DOUBLE)")


def load_source(
    rejections: Rejections,
    database: Database,
    source: CorpusSource,
    setting: str,
    files_setting: str = "",
    are_pairs: bool = False,
) -> None:
    """Adds the different texts of a source to the table `texts`; `count` is NULL where the source does not say.

    Rows are never held: they are checked and summed as they are read.

    Args:
        rejections: takes the rejected rows.
        database: has the table `texts`.
        source: the files and their columns.
        setting: the setting that holds the source, for messages.
        files_setting: the one that names its files; `<setting>.path` when empty.
        are_pairs: whether texts of `fields` are of a query and a product, and not of products.

    Raises:
        InputError: if files or columns are missing, too many rows cannot be used, or none is in the window.
    """
    files = _open_files(source, files_setting or f"{setting}.path")
    columns = _find_columns(database, files, source, setting)
    text, rules = _build_query(columns) if source.query else _build_document(source, columns)
    windows = [parse_window("", source.window, f"{setting}.window")] if source.window else []

    def check(paths: list[str], keeps_rejects: bool = False) -> str:
        rows = clean_rows(files.scan(columns, paths, keeps_rejects), columns)
        return split_rows(check_rows(rows, [forbid_broken(files.broken_reason), *rules]), _TIME, windows)

    checked = f"SELECT *, _split IS NOT NULL AS _is_used FROM ({check([], keeps_rejects=True)})"
    _sum_texts(database, checked, text, columns, f"reading {source.path}")
    used, outside = database.read_row(
        "SELECT count(*) FILTER (text IS NOT NULL), count(*) FILTER (reason IS NULL AND text IS NULL) FROM summed"
    )
    if outside and not used:
        raise InputError(f"`{setting}.window` {list(source.window)} has no row of {source.path}.")
    report_summed(rejections, database, files, columns, check)
    kind = "queries" if source.query else "pairs" if are_pairs else "products"
    database.run(
        f"INSERT INTO texts SELECT key, min(text), {quote_text(kind)}, max(count) FROM (SELECT {_build_key('text')} "
        "AS key, min(text) AS text, document, sum(count) AS count FROM summed WHERE text IS NOT NULL "
        "GROUP BY ALL) GROUP BY ALL; DROP TABLE summed"
    )


def _build_key(text: str) -> str:
    return rf"trim(regexp_replace(lower({text}), '\s+', ' ', 'g'))"


def _open_files(source: CorpusSource, setting: str) -> Source:
    files = find_files(source.path, setting)
    if all(Path(path.removesuffix(".gz")).suffix.lower() == ".txt" for path in files):
        lines = LinesSource(setting, files, [LINE], _CONTROL)
        lines.broken_reason = "line holds the control sign U+0001"
        return lines
    return open_source(source.path, setting, source.csv or CSVFormat(encoding=_find_encoding(files, setting)))


def _find_encoding(files: Sequence[str], setting: str) -> str:
    """Returns the encoding of the CSV files among `files`; that of others is fixed."""
    written = [path for path in files if path.lower().removesuffix(".gz").endswith((".csv", ".tsv"))]
    own = {path: find_encoding(path, setting) for path in written}
    if len(set(own.values())) > 1:
        first, *_, last = sorted(own, key=own.get)
        raise InputError(
            f"`{setting}` must name files of one encoding, got {first} in {own[first]} and {last} in {own[last]}; make "
            "them two sources."
        )
    return next(iter(own.values()), "utf-8")


def _find_columns(database: Database, files: Source, source: CorpusSource, setting: str) -> dict[str, str]:
    """Returns the column of the files by the name it gets; raises for one that is not there."""
    if not source.query:
        names = [field.name for field in source.fields] or [LINE]
        return map_columns(files, database, dict.fromkeys(names, True), {}, f"{setting}.fields")
    roles = {QUERY: source.query, _COUNT: source.count, DOCUMENT_ID: source.document_id, _TIME: source.time}
    given = {name: column for name, column in roles.items() if column}
    return map_columns(files, database, dict.fromkeys(given, True), given, setting)


def _build_query(columns: Mapping[str, str]) -> tuple[str, list[Rule]]:
    rules = [require_text(QUERY, "no query"), *limit_texts([QUERY])]
    if DOCUMENT_ID in columns:
        rules.append(require_text(DOCUMENT_ID, "no document id"))
    if _COUNT in columns:
        rules += require_numbers([_COUNT])
    if _TIME in columns:
        rules.append(require_time(_TIME))
    return quote_name(QUERY), rules


def _build_document(source: CorpusSource, columns: Mapping[str, str]) -> tuple[str, list[Rule]]:
    parts = []
    for field in source.fields or (TextColumn(LINE),):
        before, after = map(quote_text, field.template.split("{}"))
        parts.append(f"{before} || {quote_name(field.name)} || {after}")  # NULL where the column is
    text = f"concat_ws(' ', {', '.join(parts)})"
    return text, [*limit_texts(columns), Rule("no text", f"{text} = ''", "''")]


def _sum_texts(database: Database, checked: str, text: str, columns: Mapping[str, str], description: str) -> None:
    """Makes the table `summed`: the different texts with their count, and how many rows broke which rule."""
    count = build_number(_COUNT) if _COUNT in columns else ("1.0" if QUERY in columns else "NULL::DOUBLE")
    document = f"CASE WHEN _is_used THEN {quote_name(DOCUMENT_ID)} END" if DOCUMENT_ID in columns else "NULL"
    database.run(
        "CREATE TABLE summed AS SELECT CASE WHEN _reason IS NOT NULL THEN _file END AS file, _reason AS reason, "
        f"CASE WHEN _reason IS NULL AND _is_used THEN {text} END AS text, {document} AS document, "
        f"sum({count}) AS count, count(*) AS rows FROM ({checked}) GROUP BY ALL",
        description,
    )
