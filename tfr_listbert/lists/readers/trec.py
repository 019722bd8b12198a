"""TREC files: queries, judgements (qrels), candidates (a run, optional) and a collection of documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tfr_listbert.lists.readers.documents import forbid_repeats, load_documents, require_documents, stream_lists
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import MEMORY_GIGABYTES, Database, quote_name
from tfr_listbert.lists.tables.formats import LinesSource
from tfr_listbert.lists.tables.intake import load_rows
from tfr_listbert.lists.tables.rules import Rule, build_number, limit_texts, require_finite, require_text
from tfr_listbert.lists.tables.source import find_files, map_columns, open_source
from tfr_listbert.registry import READERS
from tfr_listbert.schema import DOCUMENT_ID, QUERY, QUERY_ID, RankedList

_QRELS = (QUERY_ID, "iteration", DOCUMENT_ID, "grade")
_RUN = (QUERY_ID, "q0", DOCUMENT_ID, "rank", "score", "tag")


@READERS.register("trec")
@dataclasses.dataclass(frozen=True)
class TRECReader:
    """Lists of the judged documents of a query or, with a run, of the documents that it ranks.

    In a run's list a document without judgement has the label 0; queries without any judgement are passed over.
    Negative grades, which some tracks give to spam, count 0.
    """

    queries: str
    """Lines of `query_id TAB query`."""
    qrels: str
    """Lines of `query_id iteration document_id grade`."""
    collection: str
    """Lines of `document_id TAB text [TAB text ...]`, the texts being `data.fields` in their order (.tsv); or a table
    with named columns in any other format."""
    run: str | None = None
    """Lines of `query_id Q0 document_id rank score tag`."""
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    """Column of a collection that is not .tsv, by `document_id` and by name of field or feature; a name that is not
    given stands for the column of that name."""
    memory_gigabytes: float = MEMORY_GIGABYTES
    """Memory of the database; what does not fit is spilled to disk."""

    def read(self, request: ReadRequest) -> Iterator[RankedList]:
        """Yields the lists, documents in the order of the run, or of the judgements."""
        with Database(request.folder, self.memory_gigabytes) as database:
            self._load_collection(request, database)
            self._load_queries(request, database)
            self._load_pairs(request, database, "qrels", self.qrels, _QRELS, "grade")
            if self.run:
                self._load_pairs(request, database, "run", self.run, _RUN, "rank")
            names = "".join(f", documents.{quote_name(name)}" for name in (*request.fields, *request.features))
            rows = (
                f"SELECT '' AS split, pair.*, query, 0 AS query_count, 1.0::DOUBLE AS weight{names} "
                f"FROM ({self._select_pairs(request, database)}) AS pair "
                "JOIN queries ON queries.query_id = pair.query_id "
                "JOIN documents ON documents.document_id = pair.document_id"
            )
            yield from stream_lists(database, request, rows, "position, _row")

    def _load_collection(self, request: ReadRequest, database: Database) -> None:
        setting = "data.options.collection"
        if self.collection.removesuffix(".gz").endswith(".tsv"):
            names = [DOCUMENT_ID, *request.fields]
            source = LinesSource(setting, find_files(self.collection, setting), names, r"\t")
        else:
            source = open_source(self.collection, setting)
        wanted = {DOCUMENT_ID: True, **request.document_columns}
        columns = map_columns(source, database, wanted, self.columns, "data.options.columns")
        load_documents(request, database, source, columns, [DOCUMENT_ID])

    def _load_queries(self, request: ReadRequest, database: Database) -> None:
        names = (QUERY_ID, QUERY)
        setting = "data.options.queries"
        source = LinesSource(setting, find_files(self.queries, setting), names, r"\t")
        rules = [require_text(QUERY_ID, "no query id"), require_text(QUERY, "no query"), *limit_texts(names)]
        repeats = [forbid_repeats("query id", [QUERY_ID])]
        load_rows(request.rejections, database, source, "queries", {name: name for name in names}, rules, repeats)

    def _load_pairs(
        self, request: ReadRequest, database: Database, table: str, path: str, names: Sequence[str], number: str
    ) -> None:
        setting = f"data.options.{table}"
        source = LinesSource(setting, find_files(path, setting), names, r"\s+")
        columns = {name: name for name in (QUERY_ID, DOCUMENT_ID, number)}
        rules = [require_text(number, f"no {number}"), require_finite(number), *limit_texts(columns)]
        late_rules = [
            Rule("unknown query id", f"{QUERY_ID} NOT IN (SELECT {QUERY_ID} FROM queries)", QUERY_ID),
            require_documents([DOCUMENT_ID]),
            forbid_repeats("document in the list", [QUERY_ID, DOCUMENT_ID]),
        ]
        load_rows(request.rejections, database, source, table, columns, rules, late_rules)

    def _select_pairs(self, request: ReadRequest, database: Database) -> str:
        label = f"greatest({build_number('grade')}, 0.0) AS label"
        if not self.run:
            return f"SELECT query_id, document_id, {label}, 0 AS position, _row FROM qrels"
        judged = "query_id IN (SELECT query_id FROM qrels)"
        (unjudged,) = database.read_row(f"SELECT count(*) FROM run WHERE NOT {judged}")
        (unranked,) = database.read_row("SELECT count(*) FROM qrels ANTI JOIN run USING (query_id, document_id)")
        request.passed_over["candidates of queries without any judgement"] = unjudged
        request.passed_over["judgements of documents that the run does not rank"] = unranked
        place = f"row_number() OVER (PARTITION BY query_id ORDER BY {build_number('rank')}, _row)"
        return (
            f"SELECT query_id, document_id, coalesce(label, 0.0) AS label, {place} AS position, run._row AS _row "
            f"FROM run LEFT JOIN (SELECT query_id, document_id, {label} FROM qrels) USING (query_id, document_id) "
            f"WHERE {judged}"
        )
