"""The ASGI application: reads bodies within their limit, runs the REST API in threads, counts."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from .manager import ModelManager
from .metrics import PATH, ServingMetrics
from .rest import Answer, RestAPI

METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})
"""Methods that reach the API; any other is answered with 501 as TensorFlow Serving's HTTP library does."""

MAX_INFLATED_BYTES = 100 * 1024 * 1024
"""Largest body after gzip where no limit is set; TensorFlow Serving's own."""


class BodyTooLargeError(Exception):
    """A body over the limit."""


def build_app(
    manager: ModelManager,
    timeout_seconds: float = 30.0,
    max_body_bytes: int | None = None,
    metrics: ServingMetrics | None = None,
) -> Starlette:
    """Returns the application.

    Args:
        manager: the models, loaded.
        timeout_seconds: a model that takes longer is answered with 504.
        max_body_bytes: a body above this, as sent or inflated, is answered with 413 at once; TensorFlow Serving
            itself has no such limit.
        metrics: where requests are counted; the application shows them. Its own when None.
    """
    server = _Server(RestAPI(manager, timeout_seconds), metrics or ServingMetrics(), max_body_bytes)
    return Starlette(routes=[Mount("/", app=server)])


class _Server:
    def __init__(self, api: RestAPI, metrics: ServingMetrics, max_body_bytes: int | None):
        self._api = api
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except BodyTooLargeError:
            response = self._refuse()
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        target = f"{path}?{query}" if query else path
        if request.method not in METHODS:
            return Response("Not Implemented", 501, media_type="text/html")
        if path == PATH:
            return self._respond_metrics(target)
        if not path.lower().startswith("/v1/"):
            return Response("Not Found", 404, media_type="text/html")
        body = await self._read_body(request)
        answer = await run_in_threadpool(self._answer, request.method, target, request.headers, body)
        return Response(answer.body, answer.status, media_type="application/json")

    def _respond_metrics(self, target: str) -> Response:
        if target != PATH:
            return Response(f"Unexpected path: {target}. Should be {PATH}", 400, media_type="text/plain")
        return Response(self._metrics.format_page(), media_type="text/plain")

    async def _read_body(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        if announced.isdigit():
            self._check_size(int(announced))
        chunks = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            self._check_size(size)
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_size(self, size: int) -> None:
        if self._max_body_bytes is not None and size > self._max_body_bytes:
            raise BodyTooLargeError

    def _answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        start = time.perf_counter()
        if "gzip" in headers.get("content-encoding", ""):
            body = inflate(body, self._max_body_bytes or MAX_INFLATED_BYTES)
        answer = self._api.answer(method, target, body)
        if answer.api in ("predict", "classify", "regress"):
            self._metrics.record(answer.model, answer.api, "REST", answer.code, time.perf_counter() - start)
        return answer

    def _refuse(self) -> Response:
        limit = self._max_body_bytes or MAX_INFLATED_BYTES
        body = json.dumps({"error": f"The request body is larger than the limit of {limit} bytes"})
        # The rest of the body is not read, so the connection cannot carry another request.
        return Response(body, 413, {"connection": "close"}, media_type="application/json")


def inflate(body: bytes, max_bytes: int) -> bytes:
    """Returns a gzip body inflated, b"" if it is no gzip: TensorFlow Serving answers both as an empty document.

    Raises:
        BodyTooLargeError: if it inflates to more than `max_bytes`.
    """
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        return b""
    if len(inflated) > max_bytes:
        raise BodyTooLargeError
    return inflated if inflater.eof else b""
