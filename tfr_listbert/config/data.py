"""Settings of the simulated shop and of the lists."""

from __future__ import annotations

import dataclasses
from typing import Any

import Stemmer

from tfr_listbert.config.checks import require, require_names, require_seed
from tfr_listbert.registry import suggest
from tfr_listbert.schema import InputError


@dataclasses.dataclass(frozen=True)
class ShopConfig:
    """The simulated shop (`pipelines/simulate_shop.py`)."""

    output: str = "runs/shop/export"
    """Folder for the files that a real shop would export."""
    seed: int = 1
    """Decides products, queries and visitors."""
    products: int = 3000
    """Products in the catalogue."""
    queries: int = 2000
    """Different queries in the training window."""
    test_queries: int = 400
    """Different queries in the test window."""
    unseen_rate: float = 0.4
    """Fraction of the test window's queries that are not in the training window."""
    sessions: int = 800_000
    """Searches in the training window."""
    results: int = 30
    """Products on a page of results."""

    def __post_init__(self) -> None:
        """Checks the sizes."""
        require_seed(self.seed, "shop.seed")
        for name in ("products", "queries", "test_queries", "sessions"):
            require(getattr(self, name) >= 10, f"shop.{name}", "must be >= 10", getattr(self, name))
        require(0 <= self.unseen_rate <= 1, "shop.unseen_rate", "must be from 0 to 1", self.unseen_rate)
        require(2 <= self.results <= self.products, "shop.results", "must be from 2 to `shop.products`", self.results)
        require(self.test_queries <= self.queries, "shop.test_queries", "must be <= `shop.queries`", self.test_queries)


@dataclasses.dataclass(frozen=True)
class SplitConfig:
    """How lists are put into the splits train, validation and test."""

    by: str = "query"
    """`query` (hash of the folded query), `time` (the reader's own windows), or `given` (a column of the source)."""
    test_rate: float = 0.2
    """Fraction of queries in the test split; read by `query` only."""
    validation_rate: float = 0.1
    """Fraction of the training queries, chosen by hash, that become the validation split."""
    salt: str = ""
    """Changes the hash, hence which queries fall where."""

    def __post_init__(self) -> None:
        """Checks the method and the rates."""
        require(self.by in ("query", "time", "given"), "data.split.by", "must be query, time or given", self.by)
        for name in ("test_rate", "validation_rate"):
            value = getattr(self, name)
            require(0 <= value < 1, f"data.split.{name}", "must be >= 0 and < 1", value)


@dataclasses.dataclass(frozen=True)
class BM25Config:
    """BM25 over stemmed words, as a feature that `prepare_data` computes and as a baseline of `evaluate`."""

    language: str = "english"
    """Language of the Snowball stemmer; `none` compares words as they are."""
    k1: float = 1.5
    """How slowly a repeated word saturates."""
    b: float = 0.75
    """Strength of length normalization, from 0 to 1."""

    def __post_init__(self) -> None:
        """Checks language and numbers."""
        languages = [*Stemmer.algorithms(), "none"]
        if self.language not in languages:
            hint = suggest(self.language, languages)
            raise InputError(f"`data.bm25.language` names no Snowball stemmer: got {self.language!r}. {hint}")
        require(self.k1 >= 0, "data.bm25.k1", "must be >= 0", self.k1)
        require(0 <= self.b <= 1, "data.bm25.b", "must be from 0 to 1", self.b)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where lists come from, what they carry and where their shards go."""

    reader: str = "clicks"
    """A key of READERS."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of that reader."""
    lists: str = "runs/lists"
    """Folder of the shards, `stats.json` and `rejected.csv`."""
    fields: tuple[str, ...] = ("title",)
    """Names of the text fields that are stored."""
    features: tuple[str, ...] = ()
    """Names of the numeric features that are stored; `bm25` is computed where the source has none."""
    list_size: int | None = None
    """Documents kept per list, the first ones as shown; no limit when empty."""
    min_list: int = 2
    """Fewest documents of a training list; fewer have no order to learn."""
    min_test_list: int | None = None
    """Fewest documents of a validation or test list; `min_list` when empty."""
    keep_equal_labels: bool = False
    """Whether training lists are kept whose labels are all equal, such as those without a click; validation and test
    lists always are."""
    max_rejected_rate: float = 0.01
    """Above this fraction of unusable rows, preparation stops."""
    max_rejected_rates: dict[str, float] = dataclasses.field(default_factory=dict)
    """The same limit for one reason, by its text in `rejected.csv`; such rows do not count towards the limit above.
    `{product is not in the catalogue: 0.2}` goes on where a fifth of the log is of products that are no more."""
    shard_lists: int = 5000
    """Lists per shard."""
    split: SplitConfig = SplitConfig()
    """See `SplitConfig`."""
    bm25: BM25Config = BM25Config()
    """See `BM25Config`."""

    def __post_init__(self) -> None:
        """Checks sizes and names."""
        if self.list_size is not None:
            require(self.list_size >= 2, "data.list_size", "must be >= 2 to rank", self.list_size)
        require(self.min_list >= 1, "data.min_list", "must be >= 1", self.min_list)
        if self.min_test_list is not None:
            require(self.min_test_list >= 1, "data.min_test_list", "must be >= 1", self.min_test_list)
        require(len(self.fields) >= 1, "data.fields", "must name at least one text field", list(self.fields))
        require(
            0 <= self.max_rejected_rate <= 1, "data.max_rejected_rate", "must be from 0 to 1", self.max_rejected_rate
        )
        for reason, rate in self.max_rejected_rates.items():
            require(0 <= rate <= 1, f"data.max_rejected_rates.{reason}", "must be from 0 to 1", rate)
        require(self.shard_lists >= 1, "data.shard_lists", "must be >= 1", self.shard_lists)
        require_names(self.fields + self.features, "data.fields and data.features")
