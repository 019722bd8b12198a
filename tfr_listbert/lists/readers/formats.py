"""CSV, TSV, JSONL and Parquet made alike: `Source.scan` is a query for each row's file, number and columns."""

from __future__ import annotations

import abc
import contextlib
import csv
import dataclasses
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from tfr_listbert.config import require
from tfr_listbert.lists.readers.database import Database, quote_list, quote_name, quote_text
from tfr_listbert.schema import DOCUMENT_ID, QUERY, QUERY_ID, InputError

MAX_ROW_BYTES = 1_000_000
"""Longest row of a CSV, TSV or JSONL file, and longest text in any; what is longer is rejected."""

_IDS = {DOCUMENT_ID, QUERY, QUERY_ID}
_SAMPLE_LINES = 1000  # of a JSONL file, to learn its keys


@dataclasses.dataclass(frozen=True)
class CSVFormat:
    """How CSV and TSV files are written; other formats need no settings."""

    delimiter: str = ""
    """Between columns; a tab in .tsv files and the most frequent of `, ; | tab` in the header of others when empty."""
    quote: str = '"'
    """Around texts that hold a delimiter, doubled inside; none when empty."""
    encoding: str = "utf-8"
    """`utf-8`, `latin-1` or `utf-16`."""

    def __post_init__(self) -> None:
        """Checks that the characters are single ones and the encoding one that can be read."""
        for name in ("delimiter", "quote"):
            rule = "must be one character, or empty"
            require(len(getattr(self, name)) <= 1, f"csv.{name}", rule, getattr(self, name))
        is_known = self.encoding in ("utf-8", "latin-1", "utf-16")
        require(is_known, "csv.encoding", "must be utf-8, latin-1 or utf-16", self.encoding)


PLAIN_CSV = CSVFormat()
"""CSV as most programs write it."""


class Source(abc.ABC):
    """Files of one format with their columns.

    Attributes:
        setting: the setting that named the files, for messages.
        files: their paths, sorted.
        header_rows: rows before the first one with data.
        broken_reason: what is wrong with a row that `scan` gives as `_broken`.
    """

    header_rows = 0
    broken_reason = ""

    def __init__(self, setting: str, files: Sequence[str]):
        """Takes files that exist."""
        self.setting, self.files = setting, tuple(files)

    @abc.abstractmethod
    def list_columns(self, database: Database, path: str) -> list[str]:
        """Returns the names of the columns of one file, nested ones as dotted paths."""

    @abc.abstractmethod
    def scan(self, columns: Mapping[str, str], files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        """Returns a query over the rows of all files, or of the given ones.

        Its columns are `_file`; `_row`, numbered from 1 through the files of one header; `_broken`, the text of a row
        that could not be taken apart, else NULL; and the asked ones. Rows that are broken before that are left out.

        Args:
            columns: column of the file by the name it gets.
            files: files to scan; all when empty.
            keeps_rejects: whether DuckDB notes the rows left out in its table `reject_errors`.
        """

    def find_columns(self, database: Database, names: Iterable[str]) -> dict[str, set[str]]:
        """Returns for each of the names the files that have a column of that name."""
        columns = {path: set(self.list_columns(database, path)) for path in self.files}
        return {name: {path for path in self.files if name in columns[path]} for name in names}


class CSVSource(Source):
    """CSV or TSV files, each with a header; their columns may come in any order."""

    header_rows = 1

    def __init__(self, setting: str, files: Sequence[str], csv_format: CSVFormat):
        """Reads the headers.

        Raises:
            InputError: if all files are empty, or a header cannot be read or repeats a name.
        """
        headers = {path: _read_header(path, csv_format) for path in files}
        super().__init__(setting, [path for path, header in headers.items() if header])
        if not self.files:
            raise InputError(f"`{setting}`: {files[0]} is empty; a CSV file starts with a header of column names.")
        self._format, self._headers = csv_format, headers

    def list_columns(self, database: Database, path: str) -> list[str]:
        """See `Source`."""
        return list(self._headers[path][1:])

    def scan(self, columns: Mapping[str, str], files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        """See `Source`."""
        groups = itertools.groupby(
            sorted(files or self.files, key=lambda path: (self._headers[path], path)), self._headers.get
        )
        return " UNION ALL ".join(
            self._scan_alike(header, list(paths), columns, keeps_rejects) for header, paths in groups
        )

    def _scan_alike(self, header: Sequence[str], files: list[str], columns: Mapping[str, str], keeps: bool) -> str:
        delimiter, *names = header
        selected = "".join(f", c{names.index(column)} AS {quote_name(name)}" for name, column in columns.items())
        types = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(names)))
        return (
            f"SELECT filename AS _file, row_number() OVER () AS _row, NULL::VARCHAR AS _broken{selected} FROM "
            + _read_csv(files, f"{{{types}}}", delimiter, self._format.quote, keeps)
            + f"header = true, strict_mode = true, encoding = {quote_text(self._format.encoding)})"
        )


class JSONLSource(Source):
    """Files of one JSON object per line; columns are its keys, or dotted paths into it, such as `event.query.text`."""

    broken_reason = "line is not valid JSON"

    def list_columns(self, database: Database, path: str) -> list[str]:
        """Returns the paths found in the first lines of the file."""
        with _open_text(path, "utf-8") as lines:
            return sorted({found for line in itertools.islice(lines, _SAMPLE_LINES) for found in _list_paths(line)})

    def find_columns(self, database: Database, names: Iterable[str]) -> dict[str, set[str]]:
        """Takes what any line of any file has for a column of all: events may leave it out.

        Names that the first lines of the first file do not have are looked for in one pass over all lines.
        """
        known = self.list_columns(database, self.files[0])
        found = {name: set(self.files) if name in known else set() for name in names}
        rare = [name for name, files in found.items() if not files]
        if rare:
            columns = {f"_{index}": name for index, name in enumerate(rare)}
            selected = ", ".join(f"count({column})" for column in columns)
            counts = database.read_row(f"SELECT {selected} FROM ({self.scan(columns)})")
            found |= {name: set(self.files) for name, count in zip(rare, counts, strict=True) if count}
        return found

    def scan(self, columns: Mapping[str, str], files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        """See `Source`."""
        paths: list[str] = []
        selected = ""
        for name, column in columns.items():
            values = []
            # A dotted path may be a key, too, where objects were flattened
            for path in dict.fromkeys((_build_json_path(column.split(".")), _build_json_path([column]))):
                paths.append(path)
                values.append(_read_json_value(f"_values[{len(paths)}]", path))
            selected += f", coalesce({', '.join(values)}) AS {quote_name(name)}"
        return (
            f"SELECT _file, _row, CASE WHEN _values IS NULL THEN line[:200] END AS _broken{selected} FROM "
            f"(SELECT *, TRY(json_extract_string(line, {quote_list(paths)})) AS _values "
            f"FROM ({_scan_lines(files or self.files, keeps_rejects)}))"
        )


class LinesSource(Source):
    """Files without header or quotes whose lines are split into a fixed number of columns, as TREC's are."""

    def __init__(self, setting: str, files: Sequence[str], columns: Sequence[str], separator: str):
        """Takes the names of the columns, in order, and the regular expression (RE2) that separates them."""
        super().__init__(setting, files)
        self.broken_reason = f"line does not have {len(columns)} columns"
        self._columns, self._separator = list(columns), separator

    def list_columns(self, database: Database, path: str) -> list[str]:
        """See `Source`."""
        return self._columns

    def scan(self, columns: Mapping[str, str], files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        """See `Source`."""
        parts = f"string_split_regex(trim(line), {quote_text(self._separator)})"
        selected = "".join(
            f", _parts[{self._columns.index(column) + 1}] AS {quote_name(name)}" for name, column in columns.items()
        )
        return (
            f"SELECT _file, _row, CASE WHEN len(_parts) <> {len(self._columns)} THEN line[:200] END AS _broken"
            f"{selected} FROM (SELECT *, {parts} AS _parts FROM ({_scan_lines(files or self.files, keeps_rejects)}))"
        )


class ParquetSource(Source):
    """Parquet files; columns inside structs are dotted paths.

    A column that a file does not have is taken from the names of its folders, such as `date=2024-03-04/`.
    """

    def __init__(self, setting: str, files: Sequence[str]):
        """Takes files that exist."""
        super().__init__(setting, files)
        self._dotted: set[str] = set()  # columns whose own names hold a dot, where objects were flattened
        self._of_folders: set[str] = set()
        self._kinds: dict[str, dict[str, str]] = {}  # a file for each type that a column has

    def list_columns(self, database: Database, path: str) -> list[str]:
        """See `Source`."""
        own = database.describe(f"FROM read_parquet({_quote_paths([path])}, hive_partitioning = false)")
        columns = database.describe(f"FROM read_parquet({_quote_paths([path])})") if "=" in path else own
        self._of_folders.update({name for name, _ in columns} - {name for name, _ in own})
        self._dotted.update(name for name, _ in columns if "." in name)
        for name, kind in columns:
            self._kinds.setdefault(name, {}).setdefault(str(kind), path)
        return [found for name, kind in columns for found in _list_struct_paths(name, kind)]

    def scan(self, columns: Mapping[str, str], files: Sequence[str] = (), keeps_rejects: bool = False) -> str:
        """See `Source`; a Parquet file is sound as a whole or not at all, so none of its rows is left out.

        Raises:
            InputError: if ids are large whole numbers in one file and floating-point numbers in another.
        """
        for name in _IDS & columns.keys():
            self._require_exact(columns[name])
        selected = "".join(f", {self._select(column)} AS {quote_name(name)}" for name, column in columns.items())
        has_folders = "true" if self._of_folders.intersection(columns.values()) else "false"
        return (
            f"SELECT _file, row_number() OVER () AS _row, NULL::VARCHAR AS _broken{selected} "
            f"FROM read_parquet({_quote_paths(files or self.files)}, union_by_name = true, filename = '_file', "
            f"binary_as_string = true, hive_partitioning = {has_folders})"
        )

    def _select(self, column: str) -> str:
        value = ".".join(map(quote_name, [column] if column in self._dotted else column.split(".")))
        is_list = any(kind.endswith("[]") for kind in self._kinds.get(column, ()))
        return f"array_to_string(CAST({value} AS VARCHAR[]), ' ')" if is_list else value

    def _require_exact(self, column: str) -> None:
        kinds = self._kinds.get(column, {})
        if kinds.keys() & {"FLOAT", "DOUBLE"} and kinds.keys() & {"BIGINT", "UBIGINT", "HUGEINT"}:
            found = ", ".join(f"{kind} in {path}" for kind, path in kinds.items())
            raise InputError(
                f"`{self.setting}`: the ids of {column!r} have several types, and as floating-point numbers large ones "
                f"become each other's: {found}. Write them as text."
            )


def _quote_paths(files: Sequence[str]) -> str:
    """Returns paths as an SQL list in which DuckDB sees no pattern."""
    return quote_list([re.sub(r"[\[*?]", r"[\g<0>]", path) for path in files])


def _read_csv(files: Sequence[str], types: str, delimiter: str, quote: str, keeps_rejects: bool) -> str:
    keep = f"store_rejects = true, rejects_line_size_limit = {MAX_ROW_BYTES}"
    # Where rows are counted again no file is read in parts: see `require_all_rows`
    rejects = keep if keeps_rejects else "ignore_errors = true, parallel = false"
    return (
        f"read_csv({_quote_paths(files)}, columns = {types}, delim = {quote_text(delimiter)}, "
        f"quote = {quote_text(quote)}, escape = {quote_text(quote)}, auto_detect = false, filename = true, "
        "hive_partitioning = false, "
        f"max_line_size = {MAX_ROW_BYTES}, {rejects}, "
    )


def _scan_lines(files: Sequence[str], keeps_rejects: bool) -> str:
    """Returns a query for `_file`, `_row` and `line`; the delimiter is one that text does not hold, lest it be cut."""
    lines = _read_csv(files, "{'line': 'VARCHAR'}", "\x01\x02\x03\x04", "", keeps_rejects)
    return (
        "SELECT * FROM (SELECT filename AS _file, row_number() OVER () AS _row, line "
        f"FROM {lines}header = false, strict_mode = false)) WHERE trim(line) <> ''"
    )


@contextlib.contextmanager
def _open_text(path: str, encoding: str) -> Iterator[TextIO]:
    """Opens a file whose text may be broken further on: what cannot be decoded becomes U+FFFD."""
    is_zipped = path.endswith(".gz")
    try:
        with gzip.open(path, "rb") if is_zipped else open(path, "rb") as stream:
            yield io.TextIOWrapper(stream, encoding.replace("utf-8", "utf-8-sig"), errors="replace", newline="")
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None


def _read_header(path: str, csv_format: CSVFormat) -> tuple[str, ...]:
    """Returns the delimiter and the column names, or nothing for an empty file."""
    with _open_text(path, csv_format.encoding) as lines:
        line = lines.readline(MAX_ROW_BYTES)
        if not line.strip():
            if any(later.strip() for later in lines):
                raise InputError(f"{path}: its first line is blank; the header of column names must be the first line.")
            return ()
        delimiter = csv_format.delimiter or max(",;|\t", key=line.count)
        quoting = {"quotechar": csv_format.quote} if csv_format.quote else {"quoting": csv.QUOTE_NONE}
        try:
            names = [
                name.strip()
                for name in next(csv.reader(itertools.chain([line], lines), delimiter=delimiter, **quoting))
            ]
        except csv.Error as error:
            raise InputError(f"{path}: the header of column names cannot be read: {error}.") from None
    _require_header(path, names)
    return (delimiter, *names)


def _require_header(path: str, names: Sequence[str]) -> None:
    if any("\ufffd" in name for name in names):
        raise InputError(f"{path}: the header is not in the encoding that `csv.encoding` says.")
    for name in names:
        if name and names.count(name) > 1:
            raise InputError(f"{path}: the header has the column {name!r} twice; give each column its own name.")


def _list_paths(line: str) -> list[str]:
    try:
        return _list_keys("", json.loads(line))
    except ValueError:
        return []


def _list_keys(path: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [path] if path else []
    own = {key: inner for key, inner in value.items() if "." not in key}
    flat = [] if path else [key for key, inner in value.items() if "." in key and not isinstance(inner, dict)]
    return flat + [name for key, inner in own.items() for name in _list_keys(f"{path}.{key}" if path else key, inner)]


def _list_struct_paths(path: str, kind: Any) -> list[str]:
    if kind.id != "struct":
        return [path]
    return [found for name, inner in kind.children for found in _list_struct_paths(f"{path}.{name}", inner)]


def _read_json_value(value: str, path: str) -> str:
    """Returns SQL for the text `value` at a path of `line`: of a list its texts, of 1001.0 the whole number."""
    kind, place = f"json_type(line, {quote_text(path)})", quote_text(f"{path}[*]")
    return (
        f"CASE WHEN {value} LIKE '[%' AND {kind} = 'ARRAY' "
        f"THEN array_to_string(json_extract_string(line, {place}), ' ') "
        f"WHEN regexp_full_match({value}, '-?[0-9]+[.]0+') AND {kind} = 'DOUBLE' "
        f"THEN regexp_replace({value}, '[.]0+$', '') ELSE {value} END"
    )


def _build_json_path(parts: Sequence[str]) -> str:
    return "$" + "".join(f'."{part}"' for part in parts)
