"""Files of rows found by a path or glob, and their columns found by name."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Collection, Mapping
from pathlib import Path

from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.formats import CSVFormat, CSVSource, JSONLSource, ParquetSource, Source
from tfr_listbert.registry import suggest
from tfr_listbert.schema import InputError

_SUFFIXES = {
    **dict.fromkeys((".csv", ".txt"), "csv"),
    ".tsv": "tsv",
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    ".parquet": "parquet",
}
_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".xlsb")


def open_source(pattern: str, setting: str, csv_format: CSVFormat | None = None) -> Source:
    """Returns the files that a path or glob names.

    Args:
        pattern: `log.csv`, `logs/*.jsonl.gz`, `logs/**/*.parquet`; the format is known by the ending.
        setting: the setting that holds the pattern, for messages.
        csv_format: how CSV and TSV files are written, where a setting `csv` says it; as most programs do when None.

    Raises:
        InputError: if there is no such file, the files are of several formats or of one that is not known, or empty.
    """
    files = find_files(pattern, setting)
    kinds = {_find_kind(path) for path in files}
    for path in files:
        if path.lower().endswith(_WORKBOOKS):
            raise InputError(
                f"`{setting}` names {path}, an Excel workbook, which is not read: save it in Excel as CSV UTF-8 (comma "
                "delimited), and name that file."
            )
    if len(kinds) > 1 or None in kinds:
        others = f" with {files[0]} and {len(files) - 1} more" if len(files) > 1 else ""
        raise InputError(
            f"`{setting}` must name files of one format, by their ending {', '.join(_SUFFIXES)}, "
            f"each with or without .gz; got {pattern!r}{others}."
        )
    kind = kinds.pop()
    if kind in ("csv", "tsv"):
        written = csv_format or CSVFormat()
        delimiter = written.delimiter or ("\t" if kind == "tsv" else "")
        source = CSVSource(setting, files, dataclasses.replace(written, delimiter=delimiter))
        if csv_format:
            source.comma_hint = "Where the comma stands before decimals, say so: `csv.decimal: ','`."
        return source
    return JSONLSource(setting, files) if kind == "jsonl" else ParquetSource(setting, files)


def find_files(pattern: str, setting: str) -> list[str]:
    """Returns the files that a path or glob names, sorted, without empty ones.

    Raises:
        InputError: if there are none, or all are empty.
    """
    found = [pattern] if Path(pattern).is_file() else glob.glob(pattern, recursive=True)
    files = sorted(path for path in found if Path(path).is_file())
    if not files:
        raise InputError(
            f"`{setting}` must name a file, or files by a glob such as logs/*.csv.gz; {pattern!r} has none."
        )
    full = [path for path in files if Path(path).stat().st_size > 0]
    if not full:
        raise InputError(f"`{setting}`: {files[0]} is empty.")
    for path in sorted(set(files) - set(full)):
        if _find_kind(path):  # others, such as Spark's _SUCCESS, are empty by design
            print(f"`{setting}`: {path} is empty, and passed over.")
    return full


def _find_kind(path: str) -> str | None:
    return _SUFFIXES.get(Path(path.removesuffix(".gz")).suffix.lower())


def map_columns(
    source: Source, database: Database, wanted: Mapping[str, bool], mapping: Mapping[str, str] | None, setting: str
) -> dict[str, str]:
    """Returns the column of the source for each wanted name.

    A name that `mapping` does not hold stands for the column of the same name. A name that is not required is left out
    where no file has such a column; one that some file has, or that the mapping holds, every file must have.

    Args:
        source: the files.
        database: where they are read.
        wanted: whether the column is required, by name.
        mapping: column by name, from the config; None where it has no such setting.
        setting: the setting that holds the mapping, or that names the files where there is none.

    Raises:
        InputError: for a name that is not wanted, or a column that is not there, or not in all files.
    """
    given = mapping or {}
    for name in given:
        if name not in wanted:
            raise InputError(f"`{setting}.{name}` is not read by anything. {suggest(name, list(wanted))}")
    columns = {name: given.get(name, name) for name in wanted}
    found = source.find_columns(database, columns.values())
    for name, column in columns.items():
        if found[column] or wanted[name] or name in given:
            place = "" if mapping is None else f"{setting}.{name}"
            _require_column(source, database, place, column, found[column])
    return {name: column for name, column in columns.items() if found[column]}


def _require_column(source: Source, database: Database, place: str, column: str, found: Collection[str]) -> None:
    """Raises InputError if there is a file that is not among those in which the column was found.

    `place` is the setting that names the column; "" where none does.
    """
    if missing := _find_other(source, found):
        others = f" ({len(found)} of the {len(source.files)} files have it)" if found else ""
        rule, advice = f"`{place}` must name a column of {missing}, which has no column {column!r}", ""
        if not place:
            rule, advice = f"`{source.setting}`: {missing} has no column {column!r}", "; name the column so"
        raise InputError(f"{rule}{others}{advice}. {suggest(column, source.list_columns(database, missing))}")


def _find_other(source: Source, files: Collection[str]) -> str | None:
    return next((path for path in source.files if path not in files), None)


def map_known_columns(
    source: Source, database: Database, known: Mapping[str, str], roles: Collection[str], document: Mapping[str, bool]
) -> dict[str, str]:
    """Returns the columns of a data set whose files have known columns.

    Args:
        source: the files.
        database: where they are read.
        known: column by the name of each role and of each field that the set has.
        roles: names in `known` that are wanted whatever the config says.
        document: whether it is required, by name of field or feature that the config asks for.

    Raises:
        InputError: if the config asks for a field that the set does not have, or the files are not the set's.
    """
    fields = [name for name in known if name not in roles]
    for name, is_required in document.items():
        if is_required and name not in fields:
            raise InputError(
                f"`data.fields` or `data.features` names {name!r}, which this data set does not have. "
                f"{suggest(name, fields)}"
            )
    columns = {name: known[name] for name in (*roles, *(name for name in document if name in fields))}
    for column, found in source.find_columns(database, columns.values()).items():
        if missing := _find_other(source, found):
            raise InputError(
                f"`{source.setting}` must name the data set's own file, which has a column {column!r}; "
                f"{missing} has {', '.join(source.list_columns(database, missing))}."
            )
    return columns
