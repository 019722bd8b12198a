"""Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfr_listbert.lists.tables.database import Database, quote_name
from tfr_listbert.lists.tables.formats.base import Source, quote_paths
from tfr_listbert.schema import DOCUMENT_ID, QUERY, QUERY_ID, InputError

_IDS = {DOCUMENT_ID, QUERY, QUERY_ID}


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
        own = database.describe(f"FROM read_parquet({quote_paths([path])}, hive_partitioning = false)")
        columns = database.describe(f"FROM read_parquet({quote_paths([path])})") if "=" in path else own
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
            f"FROM read_parquet({quote_paths(files or self.files)}, union_by_name = true, filename = '_file', "
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


def _list_struct_paths(path: str, kind: Any) -> list[str]:
    if kind.id != "struct":
        return [path]
    return [found for name, inner in kind.children for found in _list_struct_paths(f"{path}.{name}", inner)]
