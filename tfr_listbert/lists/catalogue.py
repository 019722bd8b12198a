"""The products of a shop: those in a catalogue's files, or the documents of all prepared lists."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfr_listbert.lists.elwc import list_splits, read_lists
from tfr_listbert.lists.readers.documents import load_documents
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import Database, quote_name
from tfr_listbert.lists.tables.formats import PLAIN_CSV, CSVFormat
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.lists.tables.source import map_columns, open_source
from tfr_listbert.schema import DOCUMENT_ID, Document, InputError


def read_catalogue(
    pattern: str,
    columns: Mapping[str, str],
    fields: Sequence[str],
    features: Sequence[str] = (),
    csv_format: CSVFormat = PLAIN_CSV,
    settings: tuple[str, str] = ("vectors.catalogue", "vectors.columns"),
) -> Iterator[Document]:
    """Yields the products in a catalogue's files by their ids.

    Args:
        pattern: path or glob of CSV, JSONL or Parquet files, gzipped or not.
        columns: column by name, `document_id`, fields and features; of the same name where left out.
        fields: text fields to read.
        features: numeric features to read, NaN where missing.
        csv_format: how CSV files are written.
        settings: those that name files and columns, for messages.

    Raises:
        InputError: if files or columns are missing, or any row has no id, the id of another row, or cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch, Rejections(Path(scratch) / "rejected.csv") as rejections:
        request = ReadRequest(Path(scratch), rejections, tuple(fields), tuple(features))
        with Database(Path(scratch) / "database") as database:
            source = open_source(pattern, settings[0], csv_format)
            wanted = {DOCUMENT_ID: True, **request.document_columns}
            mapped = map_columns(source, database, wanted, columns, settings[1])
            load_documents(request, database, source, mapped, [DOCUMENT_ID])
            names = ", ".join(quote_name(name) for name in (DOCUMENT_ID, *fields, *features))
            for document_id, *values in database.read_rows(f"SELECT {names} FROM documents ORDER BY document_id"):
                numbers = (math.nan if value is None else value for value in values[len(fields) :])
                texts = dict(zip(fields, values[: len(fields)], strict=True))
                yield Document(document_id, texts, 0.0, dict(zip(features, numbers, strict=True)))


def read_listed_documents(folder: str | Path, fields: Sequence[str]) -> list[Document]:
    """Returns every document of the prepared lists once, by its id, its text fields alone.

    Raises:
        InputError: if there are no lists, or a document has no id, or one text here and another there.
    """
    found: dict[str, Document] = {}
    for split in list_splits(folder):
        for ranked_list in read_lists(folder, split):
            for document in ranked_list.documents:
                own = Document(document.document_id, {name: document.fields.get(name, "") for name in fields}, 0.0)
                _require_equal(found.setdefault(own.document_id, own), own, folder)
    if not found:
        raise InputError(f"There are no lists in {folder}, hence no documents; set `vectors.catalogue`.")
    return [found[document_id] for document_id in sorted(found)]


def _require_equal(known: Document, document: Document, folder: str | Path) -> None:
    if not document.document_id:
        raise InputError(f"A document in the lists of {folder} has no id, and a vector is found by its id.")
    if known.fields != document.fields:
        raise InputError(
            f"The document {document.document_id!r} has different texts in the lists of {folder}: "
            f"{known.fields} and {document.fields}; name the texts that hold with `vectors.catalogue`."
        )
