"""JSON objects, one a line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfr_listbert.lists.tables.database import Database, quote_list, quote_name, quote_text
from tfr_listbert.lists.tables.formats.base import Source
from tfr_listbert.lists.tables.formats.text_files import open_text, scan_lines

_SAMPLE_LINES = 1000  # of a file, to learn its keys


class JSONLSource(Source):
    """Files of one JSON object per line; columns are its keys, or dotted paths into it, such as `event.query.text`."""

    broken_reason = "line is not valid JSON"
    comma_hint = "The value must be a number of JSON, with a point before its decimals and without quotes."

    def list_columns(self, database: Database, path: str) -> list[str]:
        """Returns the paths found in the first lines of the file."""
        with open_text(path, "utf-8") as lines:
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
            f"FROM ({scan_lines(files or self.files, keeps_rejects)}))"
        )


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
