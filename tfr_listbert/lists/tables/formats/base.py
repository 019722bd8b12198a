"""What all formats of files have in common: `Source.scan` is a query for each row's file, number and columns."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable, Mapping, Sequence

from tfr_listbert.lists.tables.database import Database, quote_list

MAX_ROW_BYTES = 1_000_000
"""Longest row of a CSV, TSV or JSONL file, and longest text in any; what is longer is rejected."""


class Source(abc.ABC):
    """Files of one format with their columns.

    Attributes:
        setting: the setting that named the files, for messages.
        files: their paths, sorted.
        header_rows: rows before the first one with data.
        broken_reason: what is wrong with a row that `scan` gives as `_broken`.
        decimal: sign before the decimals of numbers that are texts.
        comma_hint: what helps where a number has a comma.
    """

    header_rows = 0
    broken_reason = ""
    decimal = "."
    comma_hint = "Write decimals with a point."

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


def quote_paths(files: Sequence[str]) -> str:
    """Returns paths as an SQL list in which DuckDB sees no pattern."""
    return quote_list([re.sub(r"[\[*?]", r"[\g<0>]", path) for path in files])
