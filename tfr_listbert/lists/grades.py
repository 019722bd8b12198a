"""Grades of products for queries, from people or from whoever knows: files of `query`, `document_id`, `grade`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.intake import load_rows
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.lists.tables.rules import build_number, require_numbers, require_text
from tfr_listbert.lists.tables.source import map_columns, open_source
from tfr_listbert.schema import DOCUMENT_ID, QUERY, InputError, fold_query

_GRADE = "grade"
COLUMNS = (QUERY, DOCUMENT_ID, _GRADE)


def read_grades(pattern: str | Path, setting: str) -> dict[tuple[str, str], float]:
    """Returns the grade of each (folded query, document id).

    Args:
        pattern: path or glob of CSV, JSONL or Parquet files with COLUMNS, gzipped or not.
        setting: the setting that names them, for messages.

    Raises:
        InputError: if files or columns are missing, any row has no query, no id, or no number >= 0 as its grade, or a
            document has two grades for a query.
    """
    grades: dict[tuple[str, str], float] = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        Rejections(Path(scratch) / "rejected.csv") as rejections,
        Database(Path(scratch) / "database") as database,
    ):
        source = open_source(str(pattern), setting)
        columns = map_columns(source, database, dict.fromkeys(COLUMNS, True), None, setting)
        rules = [*(require_text(name, f"no {name}") for name in COLUMNS), *require_numbers([_GRADE])]
        load_rows(rejections, database, source, "grades", columns, rules, numbers=(_GRADE,))
        rows = f"SELECT {QUERY}, {DOCUMENT_ID}, {build_number(_GRADE)} FROM grades ORDER BY _file, _row"
        for query, document_id, grade in database.read_rows(rows):
            key = fold_query(query), document_id
            if grades.setdefault(key, grade) != grade:
                raise InputError(
                    f"`{setting}` {pattern}: a document must have one grade for a query (case and white space folded), "
                    f"got {grade:g} after {grades[key]:g} for {key[0]!r} and {key[1]!r}."
                )
    return grades
