"""The search service over HTTP, and the page to try it."""

from __future__ import annotations

import math
import re
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


def build_search_app(service: SearchService, log: ImpressionLog, page: Path) -> Starlette:
    """Returns the application.

    - `GET /search?q=...&ranker=...` gives `products`, `outcome` and `milliseconds`, and logs what it showed unless
      `log=0`; 503 with `error` if the engine fails;
    - `POST /click` with `query`, `document_id` and `position` as JSON logs a click;
    - `GET /counts` gives the number of searches by outcome;
    - `GET /rankers` gives the names of the rankers;
    - `GET /` gives the page.
    """

    def search(request: Request) -> Response:
        query = request.query_params.get("q", "").strip()
        try:
            answer = service.search(query, request.query_params.get("ranker", ""))
        except EngineError as error:
            return JSONResponse({"error": str(error)}, 503)
        if request.query_params.get("log") != "0" and answer.products:
            log.add_search(query, [str(product[DOCUMENT_ID]) for product in answer.products])
        products = [_clean(product) for product in answer.products]
        return JSONResponse(
            {"products": products, "outcome": answer.outcome, "milliseconds": round(answer.milliseconds, 2)}
        )

    async def click(request: Request) -> Response:
        try:
            body = await request.json()
            values = body["query"], body["document_id"], body["position"]
        except (ValueError, KeyError, TypeError):
            values = None, None, None
        if not _is_click(*values):
            message = "needs JSON with query and document_id as texts and position as a number from 1"
            return JSONResponse({"error": message}, 400)
        await run_in_threadpool(log.add_click, *values)
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


def _is_click(query: Any, document_id: Any, position: Any) -> bool:
    return _is_text(query) and _is_text(document_id) and type(position) is int and position >= 1


def _is_text(value: Any) -> bool:
    """Says whether a value is a text that a log can hold: not empty, no half of a surrogate pair."""
    return isinstance(value, str) and bool(value.strip()) and not re.search("[\ud800-\udfff]", value)


def _clean(product: Any) -> dict[str, Any]:
    """Returns a product as JSON can carry it: without numbers that are missing or infinite."""
    return {key: value for key, value in product.items() if not isinstance(value, float) or math.isfinite(value)}
