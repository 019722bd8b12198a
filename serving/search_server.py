"""A reference search service: finds products by their words and lets served rankers order them within a deadline.

Usage: python serving/search_server.py --catalogue FILE.csv.gz --fields title,brand --features price \\
           --ranker new=http://127.0.0.1:8501/ranker [--ranker old=...] [--port 8080]

Open http://127.0.0.1:8080 to try it: a search box and the orders of two rankers side by side. What was shown and
clicked goes to --log in the form that `data.reader: clicks` reads. It has neither TLS nor authentication.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from remote.errors import RankingError
from remote.ranking import RankingClient
from search_service.app import build_search_app
from search_service.engine import MemoryEngine, read_products
from search_service.impressions import ImpressionLog
from search_service.service import SearchService

PAGE = Path(__file__).parent / "demo" / "index.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is interrupted; returns the exit code."""
    settings = _build_parser().parse_args(arguments)
    names = settings.features.split(",") if settings.features else []
    try:
        products = read_products(settings.catalogue, names)
        rankers = {name: client for name, client in map(_open_ranker, settings.ranker)}
        engine = MemoryEngine(products, settings.fields.split(","))
    except (OSError, KeyError, ValueError, RankingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    service = SearchService(engine, rankers, settings.deadline_milliseconds / 1000, settings.candidates)
    app = build_search_app(service, ImpressionLog(settings.log), PAGE)
    print(f"Search over {len(products)} products at http://{settings.host}:{settings.port}", flush=True)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", access_log=False)
    service.close()
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", required=True, help="CSV of the products, with a column document_id")
    parser.add_argument("--fields", default="title", help="text columns to search in, by comma")
    parser.add_argument("--features", default="", help="columns of numbers, by comma")
    parser.add_argument("--ranker", action="append", default=[], metavar="NAME=URL/MODEL", help="may be given twice")
    parser.add_argument("--deadline-milliseconds", type=float, default=100.0, help="longest wait for a ranker")
    parser.add_argument("--candidates", type=int, default=100, help="products that are ranked")
    parser.add_argument("--log", default="search_log.csv", help="where shown and clicked products go")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    return parser


def _open_ranker(argument: str) -> tuple[str, RankingClient]:
    name, separator, place = argument.partition("=")
    url, slash, model = place.rpartition("/")
    if not separator or not slash or not model:
        raise RankingError(f"--ranker must read NAME=URL/MODEL, got {argument!r}.")
    # No second attempt: the deadline is over by then.
    return name, RankingClient(url, model, timeout_seconds=2.0, retries=0)


if __name__ == "__main__":
    sys.exit(main())
