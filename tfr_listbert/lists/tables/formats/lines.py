"""Lines without a header, as TREC's files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfr_listbert.lists.tables.database import Database, quote_name, quote_text
from tfr_listbert.lists.tables.formats.base import Source
from tfr_listbert.lists.tables.formats.text_files import scan_lines


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
            f"{selected} FROM (SELECT *, {parts} AS _parts FROM ({scan_lines(files or self.files, keeps_rejects)}))"
        )
