"""The search service over HTTP, and the page to try it."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tfr_listbert.schema import DOCUMENT_ID

from .engine import EngineError
from .impressions import ImpressionLog
from .service import SearchService

LOGGER = logging.getLogger(__name__)
_CLICK_BYTES = 10_000
_LAST_POSITION = 1000
_QUERY_LETTERS = 1000


def build_search_app(service: SearchService, log: ImpressionLog, page: Path) -> Starlette:
    """Returns the application.

    - `GET /search?q=...&ranker=...` gives `products`, `outcome` and `milliseconds`, and logs what it showed unless
      `log=0`; without `ranker` as the engine orders them, 400 for one that is not there; 503 with `error` if the
      engine fails; of a query 1,000 letters count;
    - `POST /click` with `query`, `document_id` and `position` as JSON of at most 10,000 bytes logs a click;
    - `GET /counts` gives the number of searches by outcome;
    - `GET /rankers` gives the names of the rankers;
    - `GET /` gives the page.
    """

    def search(request: Request) -> Response:
        query, ranker = _fold_line(request.query_params.get("q", "")), request.query_params.get("ranker", "")
        if ranker and ranker not in service.rankers:
            return JSONResponse({"error": f"no ranker {ranker!r}; there are: {', '.join(service.rankers)}"}, 400)
        try:
            answer = service.search(query, ranker)
        except EngineError as error:
            return JSONResponse({"error": str(error)}, 503)
        is_shown = request.method == "GET" and request.query_params.get("log") != "0"
        if is_shown and answer.products:
            _try_to_log(log.add_search, query, [str(product[DOCUMENT_ID]) for product in answer.products])
        products = [_clean(product) for product in answer.products]
        return JSONResponse(
            {"products": products, "outcome": answer.outcome, "milliseconds": round(answer.milliseconds, 2)}
        )

    async def click(request: Request) -> Response:
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > _CLICK_BYTES:
                message = f"has at most {_CLICK_BYTES:,} bytes"
                return JSONResponse({"error": message}, 413, {"connection": "close"})
        try:
            body = json.loads(data)
            values = _fold_line(body["query"]), body["document_id"], body["position"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            values = None, None, None
        if not _is_click(*values):
            message = f"needs JSON with query and document_id as texts and position from 1 to {_LAST_POSITION}"
            return JSONResponse({"error": message}, 400)
        await run_in_threadpool(_try_to_log, log.add_click, *values)
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/search", search),
            Route("/click", click, methods=["POST"]),
            Route("/counts", lambda request: JSONResponse(service.counts)),
            Route("/rankers", lambda request: JSONResponse(service.rankers)),
            Route("/", lambda request: FileResponse(page)),
        ]
    )


def _try_to_log(add: Callable[..., None], *values: Any) -> None:
    """Logs, or says that it cannot: a full disk must not stop search."""
    try:
        add(*values)
    except OSError as error:
        LOGGER.warning("The search log cannot be written: %s", error)


def _is_click(query: Any, document_id: Any, position: Any) -> bool:
    is_place = type(position) is int and 1 <= position <= _LAST_POSITION
    return is_place and _is_text(query) and _is_text(document_id)


def _fold_line(query: str) -> str:
    """Returns a query of one line, as a log must hold it, and of a length that a log can bear."""
    return " ".join(query.split())[:_QUERY_LETTERS]


def _is_text(value: Any) -> bool:
    """Says whether a value is a text that a log can hold: of one line, not empty, no half of a surrogate pair."""
    return isinstance(value, str) and bool(value.strip()) and not re.search("[\r\n\ud800-\udfff]", value)


def _clean(product: Any) -> dict[str, Any]:
    """Returns a product as JSON can carry it: without numbers that are missing or infinite."""
    return {key: value for key, value in product.items() if not isinstance(value, float) or math.isfinite(value)}
