"""Any table of query, document and grade: CSV, TSV, JSONL or Parquet, one row per judged pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tfr_listbert.lists.readers.documents import select_document, stream_lists
from tfr_listbert.lists.readers.judgements import JUDGEMENT_COLUMNS, SPLIT, load_judgements, select_judgements
from tfr_listbert.lists.readers.spellings import fold_queries
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import MEMORY_GIGABYTES, Database
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.lists.tables.source import map_columns, open_source
from tfr_listbert.registry import READERS
from tfr_listbert.schema import QUERY_ID, InputError, RankedList


@READERS.register("table")
@dataclasses.dataclass(frozen=True)
class TableReader:
    """One file, or a glob of alike ones, whose rows hold query, document and grade."""

    path: str
    """File or glob."""
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    """Column by name: `query`, `document_id`, `label`, each of `data.fields` and `data.features`; where the file has
    them also `query_id`, `weight`, `position`, and `split` for `data.split.by: given`. A name that is not given
    stands for the column of the same name."""
    fold_queries: bool = False
    """Whether queries that differ in case, white space or Unicode's form alone are one list, written as its split has
    it most often. The spellings of one `query_id` may always differ so; its list has that of its first document."""
    csv: CSVFormat = CSVFormat()
    """How CSV files are written."""
    memory_gigabytes: float = MEMORY_GIGABYTES
    """Memory of the database; what does not fit is spilled to disk."""

    def read(self, request: ReadRequest) -> Iterator[RankedList]:
        """Yields the lists; documents by `position`, those without one last and in the order of the rows."""
        with Database(request.folder, self.memory_gigabytes) as database:
            source = open_source(self.path, "data.options.path", self.csv)
            wanted = {**JUDGEMENT_COLUMNS, **request.document_columns}
            if request.split_by == "given":
                wanted[SPLIT] = True
            else:
                del wanted[SPLIT]
            columns = map_columns(source, database, wanted, self.columns, "data.options.columns")
            if self.fold_queries and QUERY_ID in columns:
                raise InputError(
                    f"`data.options.fold_queries` makes lists of folded queries, and {source.files[0]} has "
                    f"{columns[QUERY_ID]!r} for that, whose queries may differ in spelling; leave the option out."
                )
            load_judgements(request, database, source, columns, folds_queries=self.fold_queries)
            selected = ", ".join([select_judgements(columns), *select_document(request, columns)])
            rows = f"SELECT {selected}, _file, _row FROM judgements"
            if self.fold_queries:
                rows = (
                    f"SELECT * REPLACE (query AS query_id) FROM ({fold_queries(request, database, rows, 'count(*)')})"
                )
            elif QUERY_ID not in columns:
                _note_spellings(request, database)
            yield from stream_lists(database, request, rows, "nullif(position, 0) NULLS LAST, _file, _row")


def _note_spellings(request: ReadRequest, database: Database) -> None:
    spellings, queries = database.read_row(
        "SELECT count(*), count(DISTINCT fold_query(query)) FROM (SELECT DISTINCT query FROM judgements)"
    )
    if spellings > queries:
        request.notes.append(
            f"{spellings:,} spellings (case, white space) of {queries:,} queries, each a list of its own: "
            "`data.options.fold_queries: true` makes those one"
        )
