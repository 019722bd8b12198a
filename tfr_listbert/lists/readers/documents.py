"""A table of documents (catalogue, products, collection), and lists streamed out of the database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import Database, quote_name
from tfr_listbert.lists.tables.formats import Source
from tfr_listbert.lists.tables.intake import load_rows
from tfr_listbert.lists.tables.rules import (
    Rule,
    build_number,
    forbid_line_breaks,
    limit_texts,
    require_features,
    require_text,
)
from tfr_listbert.schema import DOCUMENT_ID, Document, RankedList

LIST_COLUMNS = ("split", "query_id", "query", "query_count", "document_id", "label", "weight", "position")
"""Columns, before fields and features, of a query that `stream_lists` takes."""


def load_documents(
    request: ReadRequest, database: Database, source: Source, columns: Mapping[str, str], keys: Sequence[str]
) -> None:
    """Makes the table `documents`: keys, then each text field ("" if missing) and each feature (NULL if missing).

    Args:
        request: says which fields and features; takes the rejected rows.
        database: gets the table.
        source: the files.
        columns: column of the source by name of key, field or feature.
        keys: names of the columns, kept as text, that tell one document from another: `document_id` and what else.
    """
    rules = [
        *(require_text(name, f"no {name}") for name in keys),
        *limit_texts((*keys, *request.fields)),
        *forbid_line_breaks(keys),
        *require_features(name for name in request.features if name in columns),
    ]
    repeats = [forbid_repeats("document", [quote_name(name) for name in keys])]
    load_rows(request.rejections, database, source, "documents_read", columns, rules, repeats, request.features)
    selected = [quote_name(name) for name in keys] + select_document(request, columns)
    database.run(f"CREATE TABLE documents AS SELECT {', '.join(selected)} FROM documents_read")
    database.run("DROP TABLE documents_read")


def forbid_repeats(what: str, keys: Sequence[str]) -> Rule:
    """Returns the late rule that only the first sound row with the same keys (SQL) is kept."""
    window = f"PARTITION BY _reason IS NULL, {', '.join(keys)} ORDER BY _file, _row"
    return Rule(
        f"the same {what} again; the first row is kept",
        f"row_number() OVER ({window}) > 1",
        f"concat_ws(' / ', {', '.join(keys)})",
    )


def require_documents(
    keys: Sequence[str], columns: Sequence[str] = (DOCUMENT_ID,), what: str = "unknown document"
) -> Rule:
    """Returns the late rule that the table `documents` has a row whose columns equal the keys (SQL)."""
    known = f"SELECT {', '.join(map(quote_name, columns))} FROM documents"
    return Rule(what, f"({', '.join(keys)}) NOT IN ({known})", f"concat_ws(' / ', {', '.join(keys)})")


def select_document(request: ReadRequest, columns: Mapping[str, str]) -> list[str]:
    """Returns SQL for the fields and features of a request; features without a column are NULL."""
    texts = [f"coalesce({quote_name(name)}, '') AS {quote_name(name)}" for name in request.fields]
    numbers = [
        f"{build_number(name) if name in columns else 'NULL::DOUBLE'} AS {quote_name(name)}"
        for name in request.features
    ]
    return texts + numbers


def stream_lists(database: Database, request: ReadRequest, rows: str, order: str) -> Iterator[RankedList]:
    """Yields lists from a query of one row per document.

    Lists come in the order of a hash of their query, so that those in one shard have nothing in common.

    Args:
        database: where the query runs.
        request: says which fields and features there are.
        rows: query with the columns LIST_COLUMNS, then fields and features.
        order: SQL order of the documents within a list.
    """
    names = ", ".join(quote_name(name) for name in (*LIST_COLUMNS, *request.fields, *request.features))
    ordered = f"SELECT {names} FROM ({rows}) ORDER BY split, md5(query_id), query_id, {order}"
    for (split, query_id), group in itertools.groupby(database.read_rows(ordered), key=lambda row: row[:2]):
        members = list(group)
        documents = tuple(_build_document(row, request) for row in members)
        _, _, query, query_count, *_ = members[0]
        yield RankedList(query_id, query, documents, query_count, split=split)


def _build_document(row: Sequence[Any], request: ReadRequest) -> Document:
    document_id, label, weight, position = row[4 : len(LIST_COLUMNS)]
    texts = row[len(LIST_COLUMNS) : len(LIST_COLUMNS) + len(request.fields)]
    numbers = row[len(LIST_COLUMNS) + len(request.fields) :]
    return Document(
        document_id=document_id,
        fields=dict(zip(request.fields, texts, strict=True)),
        label=label,
        features={
            name: float("nan") if number is None else number
            for name, number in zip(request.features, numbers, strict=True)
        },
        weight=weight,
        position=position,
    )
