"""A reference search service: finds products by their words and lets served rankers order them within a deadline.

Usage: python serving/search_server.py --catalogue FILE.csv.gz --fields title,brand --features price \\
           --ranker shop=http://127.0.0.1:8501/ranker@stable [--ranker other=...] [--port 8080]
       python serving/search_server.py --open-search http://127.0.0.1:9200/INDEX --fields title,brand ...

The first form finds candidates by BM25 in memory, the second in an index of OpenSearch that holds the model's fields
and features. A ranker may be asked over gRPC, and for a version: --ranker new=grpc://127.0.0.1:8500/ranker@2. Where
visitors search, ask for the label `stable`: without a choice a server answers with its newest version, which may be a
canary.

Open http://127.0.0.1:8080 to try it: a search box and the orders of two rankers side by side. What was shown and
clicked goes to --log in the form that `data.reader: clicks` reads. It has neither TLS nor authentication.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import Stemmer
import uvicorn
from listening import AnnouncingServer, listen, spell_address, until_stopped
from remote.errors import RankingError
from remote.ranking import RankingClient
from search_service.app import build_search_app
from search_service.engine import Engine, MemoryEngine
from search_service.impressions import ImpressionLog
from search_service.open_search import OpenSearchEngine
from search_service.service import SearchService

from tfr_listbert.lists.catalogue import read_catalogue
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.schema import DOCUMENT_ID

PAGE = Path(__file__).parent / "demo" / "index.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is interrupted; returns the exit code."""
    settings = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    with until_stopped(), contextlib.ExitStack() as opened:
        try:
            rankers = _open_rankers(settings.ranker, settings.deadline_milliseconds / 1000)
            for ranker in rankers.values():
                opened.enter_context(ranker)
            engine, place = _open_engine(settings)
            listener = opened.enter_context(listen(settings.host, settings.port))
            log = opened.enter_context(contextlib.closing(ImpressionLog(settings.log)))
        except (OSError, ValueError, RankingError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        service = SearchService(engine, rankers, settings.deadline_milliseconds / 1000, settings.candidates)
        opened.callback(service.close)
        config = uvicorn.Config(build_search_app(service, log, PAGE), log_level="warning", access_log=False)
        message = f"Search ready at http://{spell_address(listener)} over {place}."
        AnnouncingServer(config, message).run(sockets=[listener])
    return 0


def _open_engine(settings: argparse.Namespace) -> tuple[Engine, str]:
    """Returns the engine, and what it searches."""
    fields, features = _split_names(settings.fields), _split_names(settings.features)
    if settings.open_search:
        url, _, index = settings.open_search.rpartition("/")
        if "://" not in url or not index:
            raise ValueError(f"--open-search must read URL/INDEX, got {settings.open_search!r}.")
        return OpenSearchEngine(url, index, fields), f"the index {index}"
    columns = {DOCUMENT_ID: settings.id_column}
    csv_format = CSVFormat(settings.csv_delimiter, encoding=settings.csv_encoding, decimal=settings.csv_decimal)
    named = ("--catalogue", "--id-column, --fields or --features")
    found = read_catalogue(settings.catalogue, columns, fields, features, csv_format, named)
    products = [{DOCUMENT_ID: one.document_id, **one.fields, **one.features} for one in found]
    return MemoryEngine(products, fields, settings.language), f"{len(products)} products"


def _split_names(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engine = parser.add_mutually_exclusive_group(required=True)
    engine.add_argument("--catalogue", help="products: CSV, JSONL or Parquet, gzipped if it ends in .gz")
    engine.add_argument("--open-search", metavar="URL/INDEX", help="index of the products")
    parser.add_argument("--id-column", default="document_id", help="column of the catalogue that names a product")
    parser.add_argument("--csv-delimiter", default="", help="of a CSV catalogue; found in its header by default")
    parser.add_argument("--csv-encoding", default="utf-8", help="utf-8, latin-1 or utf-16")
    parser.add_argument("--csv-decimal", default=".", help="point or comma")
    parser.add_argument("--fields", default="title", help="text columns or fields to search in, by comma")
    languages = [*Stemmer.algorithms(), "none"]
    parser.add_argument("--language", default="english", choices=languages, help="of the stemmer that finds them")
    parser.add_argument("--features", default="", help="columns of numbers in the catalogue, by comma")
    parser.add_argument("--ranker", action="append", default=[], metavar="NAME=URL/MODEL[@VERSION|@LABEL]")
    parser.add_argument("--deadline-milliseconds", type=_read_positive, default=100.0, help="longest wait for a ranker")
    parser.add_argument("--candidates", type=_read_count, default=100, help="products that are ranked")
    parser.add_argument("--log", default="search_log.csv", help="where shown and clicked products go")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    return parser


def _read_positive(text: str) -> float:
    if not 0 < float(text) < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number > 0, got {text}")
    return float(text)


def _read_count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text}")
    return int(text)


def _open_rankers(arguments: Sequence[str], deadline_seconds: float) -> dict[str, RankingClient]:
    rankers: dict[str, RankingClient] = {}
    for argument in arguments:
        name, client = _open_ranker(argument, deadline_seconds)
        if name in rankers:
            raise RankingError(f"--ranker names {name!r} twice; give each ranker a name of its own.")
        rankers[name] = client
    return rankers


def _open_ranker(argument: str, deadline_seconds: float) -> tuple[str, RankingClient]:
    name, separator, place = argument.partition("=")
    url, slash, model = place.rpartition("/")
    if not separator or not slash or not model:
        raise RankingError(f"--ranker must read NAME=URL/MODEL or NAME=URL/MODEL@VERSION or @LABEL, got {argument!r}.")
    model, _, choice = model.partition("@")
    version = {"version": int(choice)} if choice.isdecimal() else {"label": choice or None}
    # No second attempt: the deadline is over by then. The first request also asks which inputs there are.
    timeout_seconds = max(1.0, 1.5 * deadline_seconds)
    return name, RankingClient(url, model, **version, timeout_seconds=timeout_seconds, retries=0, is_strict=False)


if __name__ == "__main__":
    sys.exit(main())
