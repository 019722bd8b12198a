"""The words of the simulated shop, read from `vocabulary.yaml`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

BRAND = "brand"


@dataclasses.dataclass(frozen=True)
class Value:
    """The words for one value of an attribute; in each tuple the commonest first.

    Attributes:
        title: words in titles.
        description: fragments of descriptions.
        query: words that visitors type before the kind of product.
        after: words that they type after it.
        near: values that half satisfy who asked for this one.
    """

    title: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Kind:
    """A type of product.

    Attributes:
        name: its name in the shop.
        category: the category, e.g. shoes.
        family: types that replace each other share it.
        title: words for it in titles, the commonest first.
        query: words for it in queries, the commonest first.
        price: middle price in euros.
        share: relative number of products.
        values: values of each attribute that occur, the typical one first.
    """

    name: str
    category: str
    family: str
    title: tuple[str, ...]
    query: tuple[str, ...]
    price: float
    share: float
    values: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Brand:
    """A brand: its price level, and the occasion that most of its products are made for."""

    name: str
    tier: str
    focus: str


@dataclasses.dataclass(frozen=True)
class Mission:
    """What a visitor is up to without naming a kind of product.

    Attributes:
        query: ways to say it.
        categories: where it is looked for.
        values: attributes that are meant.
    """

    query: tuple[str, ...]
    categories: tuple[str, ...]
    values: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """All words of the shop.

    Attributes:
        attributes: values by name, by attribute.
        kinds: types of products by name.
        brands: by name.
        categories: words of visitors for a whole category.
        missions: see `Mission`.
        title_noise: words of titles that say nothing: `models`, `stuffing`, `codes`.
        description_noise: sentences that say nothing about the product: `cross_sell`, `filler`.
    """

    attributes: Mapping[str, Mapping[str, Value]]
    kinds: Mapping[str, Kind]
    brands: Mapping[str, Brand]
    categories: Mapping[str, tuple[str, ...]]
    missions: tuple[Mission, ...]
    title_noise: Mapping[str, tuple[str, ...]]
    description_noise: Mapping[str, tuple[str, ...]]


@functools.cache
def read_vocabulary() -> Vocabulary:
    """Returns the vocabulary that comes with the package."""
    tables = yaml.safe_load((Path(__file__).parent / "vocabulary.yaml").read_text(encoding="utf-8"))
    return Vocabulary(
        attributes={
            attribute: {name: Value(**_tuples(words)) for name, words in values.items()}
            for attribute, values in tables["attributes"].items()
        },
        kinds={name: _parse_kind(name, table, tables["defaults"]) for name, table in tables["types"].items()},
        brands={name: Brand(name, **table) for name, table in tables["brands"].items()},
        categories=_tuples(tables["categories"]),
        missions=tuple(_parse_mission(table) for table in tables["missions"]),
        title_noise=_tuples(tables["titles"]),
        description_noise=_tuples(tables["descriptions"]),
    )


def _tuples(table: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(words) for key, words in table.items()}


def _parse_kind(name: str, table: dict[str, Any], defaults: Mapping[str, list[str]]) -> Kind:
    plain = {key: table[key] for key in ("category", "family", "price", "share")}
    words = {key: tuple(table[key]) for key in ("title", "query")}
    values = {key: values for key, values in table.items() if key not in plain and key not in words}
    return Kind(name=name, **plain, **words, values=_tuples({**defaults, **values}))


def _parse_mission(table: dict[str, Any]) -> Mission:
    values = {key: value for key, value in table.items() if key not in ("query", "categories")}
    return Mission(tuple(table["query"]), tuple(table["categories"]), values)
