"""Home Depot search relevance (Kaggle 2016): `train.csv` of query, product title and relevance from 1 to 3."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tfr_listbert.lists.readers.documents import select_document, stream_lists
from tfr_listbert.lists.readers.judgements import load_judgements, select_judgements
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.encodings import find_encoding
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.lists.tables.rules import Rule, build_number, require_numbers, require_text
from tfr_listbert.lists.tables.source import map_known_columns, open_source
from tfr_listbert.registry import READERS
from tfr_listbert.schema import LABEL, RankedList

_ROLES = {"query": "search_term", "document_id": "product_uid", "label": "relevance"}
_COLUMNS = {**_ROLES, "title": "product_title"}
_SPLIT = "CASE (dense_rank() OVER (ORDER BY query) - 1) % 5 WHEN 0 THEN 'test' ELSE 'train' END"
_LABEL_RULES = (
    require_text(LABEL, "no relevance"),
    *require_numbers([LABEL]),
    Rule("relevance is below 1", f"{build_number(LABEL)} < 1", LABEL),
)


@READERS.register("homedepot")
@dataclasses.dataclass(frozen=True)
class HomeDepotReader:
    """Labels are `relevance - 1`, from 0 to 2 in 13 values; the one field is `title`.

    The competition's own test set has no grades, so the reader makes a split of its own: the different search terms
    sorted, every fifth from the first on is `test`.
    """

    path: str
    """`train.csv` or `train.csv.gz`."""
    encoding: str = ""
    """Encoding of the file; when empty Latin-1, in which Kaggle hands it out, unless all of it is valid UTF-8."""

    def read(self, request: ReadRequest) -> Iterator[RankedList]:
        """Yields the lists, documents in the order of the rows."""
        request.refuse_times()
        with Database(request.folder) as database:
            source = open_source(self.path, "data.options.path", CSVFormat(encoding=self._find_encoding()))
            columns = map_known_columns(source, database, _COLUMNS, _ROLES, request.document_columns)
            load_judgements(request, database, source, columns, _LABEL_RULES)
            judged = select_judgements(columns, label=f"{build_number(LABEL)} - 1", split=_SPLIT)
            selected = ", ".join([judged, *select_document(request, columns)])
            rows = f"SELECT {selected}, _row FROM judgements"
            yield from stream_lists(database, request, rows, "_row")

    def _find_encoding(self) -> str:
        if self.encoding or not Path(self.path).is_file():
            return self.encoding or "utf-8"
        return find_encoding(self.path, "data.options.path")
