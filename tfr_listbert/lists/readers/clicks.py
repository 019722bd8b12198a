"""A shop's search log and its catalogue: impressions and clicks summed in a stream, graded, and cut into lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfr_listbert.config import require
from tfr_listbert.lists.readers.click_log import CLICKS, IMPRESSIONS, TIME, sum_log
from tfr_listbert.lists.readers.documents import load_documents, stream_lists
from tfr_listbert.lists.readers.grading import GRADINGS, build_grade, sum_by_ctr, sum_by_expected_clicks
from tfr_listbert.lists.readers.windows import parse_windows
from tfr_listbert.lists.request import ReadRequest, Step
from tfr_listbert.lists.tables.database import MEMORY_GIGABYTES, Database, quote_name
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.lists.tables.source import map_columns, open_source
from tfr_listbert.registry import READERS, suggest
from tfr_listbert.schema import DOCUMENT_ID, POSITION, QUERY, InputError, RankedList

LIST_SIZE = 30
"""Products per list where `data.list_size` does not say: as in the paper."""

_COEC_DEFAULTS = {"prior_impressions": 20.0, "add_to_cart_weight": 1.0, "purchase_weight": 2.0}
_ACTIONS = {"add_to_cart": "add_to_cart_weight", "purchases": "purchase_weight"}


@READERS.register("clicks")
@dataclasses.dataclass(frozen=True)
class ClicksReader:
    """Lists from clicks: for each query the products shown highest, graded by what visitors did.

    A row of the log is one impression, or a sum of many if the column `impressions` says so. Only what is needed of a
    row is summed, in one pass over the log; memory stays within `memory_gigabytes`, the rest is spilled to disk.
    `query_count` of a list is the most impressions that any product has for the query: a search shows a product at
    most once, so the query was searched at least so often.
    """

    log: str
    """Log file or a glob of any number of them."""
    catalogue: str
    """Table of products, one row each."""
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    """Column of the log by name: `query`, `document_id`, `clicks`; where it has them `position` (counted from 0 or 1),
    `impressions`, `add_to_cart`, `purchases`, `time`. A name that is not given stands for the column of that name."""
    catalogue_columns: dict[str, str] = dataclasses.field(default_factory=dict)
    """Column of the catalogue by name: `document_id`, each of `data.fields` and `data.features`; likewise."""
    fold_queries: bool = True
    """Whether queries that differ in case, white space or Unicode's form alone are one query, written as its split has
    it most often."""
    csv: CSVFormat = CSVFormat()
    """How CSV files are written."""
    catalogue_csv: CSVFormat | None = None
    """How those of the catalogue are; as those of the log when empty."""
    grading: str = "ctr"
    """`ctr` or `clicks_over_expected`; see `tfr_listbert/lists/readers/grading.py`."""
    min_impressions: float | None = None
    """Fewest impressions of a product in a list; 50 for `ctr` and 1 for `clicks_over_expected` when empty."""
    prior_impressions: float | None = None
    """Weight of the prior of `clicks_over_expected`, in impressions; 20 when empty."""
    add_to_cart_weight: float | None = None
    """Clicks that an add-to-cart is worth to `clicks_over_expected`; 1 when empty."""
    purchase_weight: float | None = None
    """Clicks that a purchase is worth to `clicks_over_expected`; 2 when empty."""
    train_window: tuple[Any, ...] = ()
    """First day or moment of the training log, and the first one after it; with `test_window` for `data.split.by:
    time`."""
    test_window: tuple[Any, ...] = ()
    """Likewise of the test log."""
    validation_window: tuple[Any, ...] = ()
    """Likewise of a log between them, whose lists choose model and settings, with queries that were trained on and
    others, as in the test; then `data.split.validation_rate: 0`. When empty, validation lists are of queries split off
    the training log, none of which was trained on."""
    memory_gigabytes: float = MEMORY_GIGABYTES
    """Memory of the database."""

    def __post_init__(self) -> None:
        """Checks choices, numbers and windows, and that no option is set which the grading does not read."""
        if self.grading not in GRADINGS:
            hint = suggest(self.grading, list(GRADINGS))
            raise InputError(f"`data.options.grading` names no way of grading: got {self.grading!r}. {hint}")
        for name in ("min_impressions", *_COEC_DEFAULTS):
            value = getattr(self, name)
            require(value is None or value >= 0, f"data.options.{name}", "must be >= 0", value)
            if name in _COEC_DEFAULTS and self.grading == "ctr":
                rule = "is read by `grading: clicks_over_expected` only; leave it out"
                require(value is None, f"data.options.{name}", rule, value)
        parse_windows(self.train_window, self.test_window, self.validation_window)

    def read(self, request: ReadRequest) -> Iterator[RankedList]:
        """Yields the lists, products by mean position, or by impressions where the log has no position."""
        rule = "must be query or time, since a log assigns no split"
        require(request.split_by in ("query", "time"), "data.split.by", rule, request.split_by)
        if bool(self.train_window) != (request.split_by == "time"):
            raise InputError(
                "`data.split.by: time` and `data.options.train_window` with `test_window` go together, got "
                f"{request.split_by!r} with train_window {list(self.train_window)}."
            )
        with Database(request.folder, self.memory_gigabytes) as database:
            self._load_catalogue(request, database)
            has_position = self._sum_log(request, database)
            if self.grading == "ctr":
                sum_by_ctr(database)
            else:
                sum_by_expected_clicks(database, self._get_number("prior_impressions"))
            self._choose_pairs(request, database)
            yield from _stream_chosen(request, database, has_position)

    def _load_catalogue(self, request: ReadRequest, database: Database) -> None:
        source = open_source(self.catalogue, "data.options.catalogue", self.catalogue_csv or self.csv)
        wanted = {DOCUMENT_ID: True, **request.document_columns}
        columns = map_columns(source, database, wanted, self.catalogue_columns, "data.options.catalogue_columns")
        load_documents(request, database, source, columns, [DOCUMENT_ID])

    def _sum_log(self, request: ReadRequest, database: Database) -> bool:
        """Makes the table `shown` and says whether the log has positions."""
        log = open_source(self.log, "data.options.log", self.csv)
        wanted = {QUERY: True, DOCUMENT_ID: True, CLICKS: True, IMPRESSIONS: False, POSITION: False}
        is_ctr = self.grading == "ctr"
        if not is_ctr:
            wanted.update(dict.fromkeys(_ACTIONS, False))
        windows = parse_windows(self.train_window, self.test_window, self.validation_window)
        if windows:
            wanted[TIME] = True
        columns = map_columns(log, database, wanted, self.columns, "data.options.columns")
        if not is_ctr and POSITION not in columns:
            raise InputError(
                "`data.options.grading: clicks_over_expected` needs the column of positions, `data.options.columns."
                "position`; for a log without positions set `grading: ctr`."
            )
        weights = {CLICKS: 1.0}
        weights.update({name: self._get_number(weight) for name, weight in _ACTIONS.items() if name in columns})
        sum_log(request, database, log, columns, weights, windows, not is_ctr, self.fold_queries)
        return POSITION in columns

    def _get_number(self, name: str) -> float:
        value = getattr(self, name)
        return _COEC_DEFAULTS[name] if value is None else value

    def _choose_pairs(self, request: ReadRequest, database: Database) -> None:
        """Makes the table `chosen` from `pair`, each pair with its place in its list."""
        default = 50.0 if self.grading == "ctr" else 1.0
        impressions = default if self.min_impressions is None else self.min_impressions
        list_size = request.list_size or LIST_SIZE
        order = "PARTITION BY split, query ORDER BY position, impressions DESC, document_id"
        is_shown = f"impressions >= {impressions} AND impressions > 0"
        database.run(
            f"CREATE TABLE chosen AS SELECT *, row_number() OVER ({order}) AS _place FROM pair WHERE {is_shown} "
            f"QUALIFY _place <= {list_size}"
        )
        request.steps.append(_count_step(database, "shown in the log", "pair"))
        request.steps.append(_count_step(database, f"impressions >= {impressions:g}", f"pair WHERE {is_shown}"))
        request.steps.append(_count_step(database, f"the first {list_size} by position", "chosen"))


def _count_step(database: Database, name: str, pairs: str) -> Step:
    counts = "count(DISTINCT (split, query)), count(*), count(DISTINCT document_id)"
    return Step(name, *database.read_row(f"SELECT {counts} FROM {pairs}"))


def _stream_chosen(request: ReadRequest, database: Database, has_position: bool) -> Iterator[RankedList]:
    names = "".join(f", documents.{quote_name(name)}" for name in (*request.fields, *request.features))
    rows = (
        "SELECT graded.split, graded.query AS query_id, graded.query, query_count, graded.document_id, label, "
        f"1.0::DOUBLE AS weight, {'_place' if has_position else '0'} AS position, _place{names} "
        f"FROM (SELECT *, {build_grade()} AS label FROM chosen) AS graded "
        "JOIN (SELECT split, query, CAST(max(impressions) AS BIGINT) AS query_count FROM pair GROUP BY ALL) AS counted "
        "ON counted.split = graded.split AND counted.query = graded.query "
        "JOIN documents ON documents.document_id = graded.document_id"
    )
    yield from stream_lists(database, request, rows, "_place")
