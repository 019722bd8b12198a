"""The texts of pre-training: of all sources, each once, without the queries that a model is tested on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfr_listbert.config import Config, build_dataclass
from tfr_listbert.lists.elwc import list_shards, list_splits, read_lists
from tfr_listbert.lists.splits import hash_query
from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.rows.corpus_sources import CorpusSource, TextColumn, create_texts, load_source
from tfr_listbert.rows.tested_queries import find_tested_splits
from tfr_listbert.schema import QUERY, InputError


@dataclasses.dataclass
class TextCounts:
    """What became of the texts that the sources hold.

    Attributes:
        inputs: by setting, rows read and rejected; see `Rejections`.
        products: different texts of products that were taken.
        pairs: different texts of a query and a product, of `pretrain.pair_label`, that were taken.
        queries: different queries that were taken.
        short_queries: different queries left out because they have too few words.
        rare_queries: different queries left out because they were searched too seldom.
        excluded: texts left out because they equal a query that must not be trained on.
        held_out: texts among those taken on which nothing is trained.
    """

    inputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    products: int = 0
    pairs: int = 0
    queries: int = 0
    short_queries: int = 0
    rare_queries: int = 0
    excluded: int = 0
    held_out: int = 0


def read_corpus(config: Config, folder: Path, counts: TextCounts) -> Iterator[tuple[str, bool]]:
    """Yields each text of the corpus once, and whether it is held out, in an order that is random but always the same.

    Texts are the same if they are so with case and white space folded. They are sorted and compared by DuckDB, which
    spills to disk: memory grows only by the queries to leave out, with about 80 bytes for each.

    Args:
        config: `pretrain` says what is taken; the queries of `find_tested_splits` are left out.
        folder: for the database and `rejected.csv`.
        counts: gets its numbers while texts are read.

    Raises:
        InputError: if there is no source, a source cannot be read, or a query could be one of a test split.
    """
    sources = _list_sources(config)
    excluded = _read_excluded(config, folder)
    with Database(folder / "database") as database:
        create_texts(database)
        with Rejections.as_configured(folder / "rejected.csv", config.data) as rejections:
            if config.pretrain.lists:
                _load_lists(config, folder, rejections, database, excluded)
            for setting, source in sources.items():
                load_source(rejections, database, source, setting)
            counts.inputs = rejections.inputs
        _choose_texts(config, database, counts)
        yield from _stream_texts(config, database, excluded, counts)


def _list_sources(config: Config) -> dict[str, CorpusSource]:
    sources = _build_sources(config.pretrain.sources, "pretrain.sources")
    if not sources and not config.pretrain.lists:
        raise InputError("`pretrain.sources` must name files with texts where `pretrain.lists` is false, got none.")
    has_queries = config.pretrain.lists or any(source.query for source in sources.values())
    if has_queries and not Path(config.data.lists).is_dir():
        raise InputError(
            f"`data.lists` must be a folder of prepared lists, since queries of its test split must not be trained on; "
            f"got {config.data.lists}, which is none. Run pipelines/prepare_data.py first."
        )
    return sources


def _build_sources(values: Sequence[dict[str, Any]], setting: str) -> dict[str, CorpusSource]:
    return {
        f"{setting}[{index}]": build_dataclass(CorpusSource, one, f"{setting}[{index}]")
        for index, one in enumerate(values)
    }


def _load_lists(config: Config, folder: Path, rejections: Rejections, database: Database, excluded: set[int]) -> None:
    """Writes the texts of the training lists to files, which are then read as any other."""
    fields, pair_label = config.text.fields, config.pretrain.pair_label
    list_shards(config.data.lists, "train", [field.name for field in fields])
    paths = {name: folder / f"{name}.jsonl" for name in ("documents", "pairs", "queries")}
    with (
        paths["documents"].open("w", encoding="utf-8") as documents,
        paths["pairs"].open("w", encoding="utf-8") as pairs,
        paths["queries"].open("w", encoding="utf-8") as queries,
    ):
        for ranked_list in tqdm(read_lists(config.data.lists, "train"), desc="reading lists", unit=" lists"):
            query = {"query": ranked_list.query, "count": ranked_list.query_count or None}
            queries.write(_to_line(query))
            has_pairs = pair_label is not None and hash_query(ranked_list.query) not in excluded
            for document in ranked_list.documents:
                values = {field.name: document.fields.get(field.name, "").strip() for field in fields}
                if any(values.values()):
                    documents.write(_to_line(values))
                    if has_pairs and document.label >= np.float32(pair_label):
                        pairs.write(_to_line({QUERY: ranked_list.query, **values}))
    columns = tuple(TextColumn(field.name, field.template) for field in fields)
    sources = {
        "documents": CorpusSource(str(paths["documents"]), columns),
        "pairs": CorpusSource(str(paths["pairs"]), (TextColumn(QUERY), *columns)),
        "queries": CorpusSource(str(paths["queries"]), query="query", count="count"),
    }
    for name, source in sources.items():
        if name != "pairs" or paths[name].stat().st_size:  # there may be none, and an empty file is refused
            load_source(rejections, database, source, "data.lists", f"data.lists ({name})", name == "pairs")


def _to_line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _choose_texts(config: Config, database: Database, counts: TextCounts) -> None:
    """Makes the table `chosen` of different texts, and what each is: product, pair, or query, taken or not."""
    settings = config.pretrain
    database.run(
        "CREATE TABLE chosen AS SELECT key, min(text) AS text, CASE WHEN bool_or(kind = 'products') THEN 'products' "
        "WHEN bool_or(kind = 'pairs') THEN 'pairs' "
        f"WHEN len(string_split(key, ' ')) < {settings.min_query_words} THEN 'short_queries' "
        f"WHEN count(*) = count(count) AND sum(count) < {settings.min_query_count} THEN 'rare_queries' "
        "ELSE 'queries' END AS kind "
        "FROM texts GROUP BY key; DROP TABLE texts",
        "comparing texts",
    )
    for kind, number in database.read_rows("SELECT kind, count(*) FROM chosen GROUP BY ALL"):
        setattr(counts, kind, number)


def _stream_texts(
    config: Config, database: Database, excluded: set[int], counts: TextCounts
) -> Iterator[tuple[str, bool]]:
    ordered = "SELECT text, kind FROM chosen WHERE kind IN ('products', 'pairs', 'queries') ORDER BY md5(key), key"
    total = counts.products + counts.pairs + counts.queries
    for text, kind in tqdm(database.read_rows(ordered), "tokenizing", total, unit=" texts", mininterval=2):
        if hash_query(text) in excluded:
            counts.excluded += 1
            setattr(counts, kind, getattr(counts, kind) - 1)
            continue
        is_held_out = hash_query(text, "held out") < config.pretrain.held_out_rate * 2**64
        counts.held_out += is_held_out
        yield text, is_held_out


def _read_excluded(config: Config, folder: Path) -> set[int]:
    """Returns the hashes of the queries that must not be trained on."""
    lists = config.data.lists
    splits = [split for split in find_tested_splits(config) if split in list_splits(lists)]
    hashes = {hash_query(ranked_list.query) for split in splits for ranked_list in read_lists(lists, split)}
    if not hashes:
        print(f"No query of a test is known, and none left out: `data.lists` {lists} holds no such lists.")
    sources = _build_sources(config.pretrain.excluded, "pretrain.excluded")
    for setting, source in sources.items():
        with (
            Database(folder / "excluded" / setting) as database,
            Rejections.as_configured(folder / "excluded.csv", config.data) as rejections,
        ):
            create_texts(database)
            load_source(rejections, database, source, setting)
            hashes.update(hash_query(text) for (text,) in database.read_rows("SELECT text FROM texts"))
    return hashes
