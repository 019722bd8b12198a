"""Queries that differ in case, white space or Unicode's form alone made one: the folding of splits, in SQL."""

from __future__ import annotations

from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import Database
from tfr_listbert.schema import fold_query


def add_folding(database: Database) -> None:
    """Makes the function `fold_query` known to SQL; once for a database, before anything that folds."""
    database.add_function("fold_query", fold_query)


def fold_queries(request: ReadRequest, database: Database, rows: str, count: str) -> str:
    """Returns `rows` with one spelling of queries that fold to the same, and notes how many there are.

    Args:
        request: gets the note.
        database: knows `fold_query`; gets the table `spelling`.
        rows: query with the columns `split` and `query`.
        count: SQL aggregate of rows by which the most common spelling of a split is chosen.
    """
    counted = f"SELECT split, query, {count} AS n FROM ({rows}) GROUP BY ALL"
    common = "first_value(query) OVER (PARTITION BY split, fold_query(query) ORDER BY n DESC, query)"
    database.run(f"CREATE TABLE spelling AS SELECT split, query, {common} AS common FROM ({counted})")
    spellings, queries = database.read_row("SELECT count(*), count(DISTINCT (split, common)) FROM spelling")
    if spellings > queries:
        request.notes.append(f"{spellings:,} spellings (case, white space) of {queries:,} queries")
    return f"SELECT spelled.* REPLACE (common AS query) FROM ({rows}) AS spelled JOIN spelling USING (split, query)"
