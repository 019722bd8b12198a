"""CSV and TSV."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence

from tfr_listbert.config import require
from tfr_listbert.lists.tables.database import Database, quote_name, quote_text
from tfr_listbert.lists.tables.encodings import forbid_utf_16, require_latin_1
from tfr_listbert.lists.tables.formats.base import MAX_ROW_BYTES, Source
from tfr_listbert.lists.tables.formats.text_files import open_text, read_csv
from tfr_listbert.schema import InputError


@dataclasses.dataclass(frozen=True)
class CSVFormat:
    """How CSV and TSV files are written; other formats need no settings."""

    delimiter: str = ""
    """Between columns; a tab in .tsv files and the most frequent of `, ; | tab` in the header of others when empty."""
    quote: str = '"'
    """Around texts that hold a delimiter, doubled inside; none when empty."""
    encoding: str = "utf-8"
    """`utf-8`, `latin-1` or `utf-16`."""
    decimal: str = "."
    """Sign before the decimals of numbers, point or comma; the other one may stand between thousands."""

    def __post_init__(self) -> None:
        """Checks that the characters are single ones and the encoding one that can be read."""
        for name in ("delimiter", "quote"):
            rule = "must be one character, or empty"
            require(len(getattr(self, name)) <= 1, f"csv.{name}", rule, getattr(self, name))
        is_known = self.encoding in ("utf-8", "latin-1", "utf-16")
        require(self.decimal in (".", ","), "csv.decimal", "must be a point or a comma", self.decimal)
        require(is_known, "csv.encoding", "must be utf-8, latin-1 or utf-16", self.encoding)


PLAIN_CSV = CSVFormat()
"""CSV as most programs write it."""


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
        self._format, self._headers, self.decimal = csv_format, headers, csv_format.decimal

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
            + read_csv(files, f"{{{types}}}", delimiter, self._format.quote, keeps)
            + f"header = true, strict_mode = true, encoding = {quote_text(self._format.encoding)})"
        )


def _read_header(path: str, csv_format: CSVFormat) -> tuple[str, ...]:
    """Returns the delimiter and the column names, or nothing for an empty file."""
    forbid_utf_16(path, csv_format.encoding)
    if csv_format.encoding == "latin-1":
        require_latin_1(path)
    with open_text(path, csv_format.encoding) as lines:
        line = lines.readline(MAX_ROW_BYTES)
        if not line.strip():
            if any(later.strip() for later in lines):
                raise InputError(f"{path}: its first line is blank; the header of column names must be the first line.")
            return ()
        if re.fullmatch("sep=.?", line.strip(), re.IGNORECASE):
            raise InputError(
                f"{path}: its first line, {line.strip()}, is a note of Excel's to itself; remove that line, so that "
                "the header of column names is the first one."
            )
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
