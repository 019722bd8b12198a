"""Amazon's Shopping Queries (ESCI) in its two official Parquet files: judged examples and the products they name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from tfr_listbert.config import require
from tfr_listbert.lists.readers.documents import load_documents, require_documents, stream_lists
from tfr_listbert.lists.readers.judgements import load_judgements, select_judgements
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import MEMORY_GIGABYTES, Database, quote_name, quote_text
from tfr_listbert.lists.tables.rules import Rule
from tfr_listbert.lists.tables.source import map_known_columns, open_source
from tfr_listbert.registry import READERS
from tfr_listbert.schema import LABEL, InputError, RankedList

_KEYS = {"document_id": "product_id", "locale": "product_locale"}
_EXAMPLES = {**_KEYS, "query": "query", "query_id": "query_id", "label": "esci_label", "split": "split"}
_PRODUCTS = {
    **_KEYS,
    "title": "product_title",
    "description": "product_description",
    "bullet_points": "product_bullet_point",
    "brand": "product_brand",
    "color": "product_color",
}
_VERSIONS = {"small": "small_version", "large": "large_version"}


@READERS.register("esci")
@dataclasses.dataclass(frozen=True)
class ESCIReader:
    """Labels are the gains of Exact, Substitute, Complement and Irrelevant; `split` is the set's own.

    Fields: `title`, `description`, `bullet_points`, `brand`, `color`.
    """

    examples: str
    """`shopping_queries_dataset_examples.parquet`."""
    products: str
    """`shopping_queries_dataset_products.parquet`."""
    gains: dict[str, float] = dataclasses.field(default_factory=lambda: {"E": 3.0, "S": 2.0, "C": 1.0, "I": 0.0})
    """Label by the set's own letter."""
    locale: str = "us"
    """`us`, `es` or `jp`; rows of other locales are passed over."""
    version: str = "large"
    """`large`, or `small` for the reduced set of the ranking task (its easy queries are left out)."""
    memory_gigabytes: float = MEMORY_GIGABYTES
    """Memory of the database; what does not fit is spilled to disk."""

    def __post_init__(self) -> None:
        """Checks gains and version."""
        if self.version not in _VERSIONS:
            raise InputError(f"`data.options.version` must be small or large, got {self.version!r}.")
        missing = ", ".join(letter for letter in "ESCI" if letter not in self.gains)
        require(not missing, "data.options.gains", f"must have E, S, C and I; {missing} is missing", self.gains)
        for letter, gain in self.gains.items():
            if not (math.isfinite(gain) and gain >= 0):
                raise InputError(f"`data.options.gains.{letter}` must be a finite number >= 0, got {gain}.")

    def read(self, request: ReadRequest) -> Iterator[RankedList]:
        """Yields the lists, documents in the order of the rows."""
        request.refuse_times()
        with Database(request.folder, self.memory_gigabytes) as database:
            self._load_products(request, database)
            judged = self._load_examples(request, database)
            documents = f"(SELECT * EXCLUDE (locale) FROM documents WHERE locale = {quote_text(self.locale)})"
            rows = f"SELECT * FROM ({judged}) JOIN {documents} USING (document_id)"
            yield from stream_lists(database, request, rows, "_row")

    def _load_products(self, request: ReadRequest, database: Database) -> None:
        source = open_source(self.products, "data.options.products")
        columns = map_known_columns(source, database, _PRODUCTS, _KEYS, request.document_columns)
        load_documents(request, database, source, columns, list(_KEYS))

    def _load_examples(self, request: ReadRequest, database: Database) -> str:
        """Makes the table of judgements and returns the query for those of the locale and version."""
        source = open_source(self.examples, "data.options.examples")
        known = {**_EXAMPLES, "version": _VERSIONS[self.version]}
        columns = map_known_columns(source, database, known, known, {})
        letter = quote_name(LABEL)
        gain = " ".join(f"WHEN {quote_text(name)} THEN {number}::DOUBLE" for name, number in self.gains.items())
        label = f"CASE {letter} {gain} END"
        rules = [Rule("label is not among `data.options.gains`", f"({label}) IS NULL", letter)]
        known_products = require_documents([quote_name(name) for name in _KEYS], list(_KEYS))
        load_judgements(request, database, source, columns, rules, [known_products])
        locales = [locale for (locale,) in database.read_rows("SELECT DISTINCT locale FROM judgements ORDER BY ALL")]
        rule = f"must be a locale of {self.examples}, which has {', '.join(locales)}"
        require(self.locale in locales, "data.options.locale", rule, self.locale)
        is_chosen = f"locale = {quote_text(self.locale)} AND version = '1'"
        (others,) = database.read_row(f"SELECT count(*) FROM judgements WHERE NOT ({is_chosen})")
        request.passed_over[f"examples of another locale than {self.locale} or not in the {self.version} version"] = (
            others
        )
        return f"SELECT {select_judgements(columns, label=label)}, _row FROM judgements WHERE {is_chosen}"
