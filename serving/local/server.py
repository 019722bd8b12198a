"""The whole local server: models, REST and gRPC, and the order in which they end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import uvicorn

from .app import build_app
from .grpc_api import STOP_SECONDS, build_grpc_server
from .http_protocol import HttpProtocol
from .manager import ModelManager
from .metrics import ServingMetrics
from .sources import ModelSource


@contextlib.contextmanager
def open_server(
    sources: Sequence[ModelSource],
    poll_seconds: float = 1.0,
    read_sources: Callable[[], Sequence[ModelSource]] | None = None,
    grpc_address: str | None = None,
    timeout_seconds: float = 30.0,
    max_body_bytes: int | None = None,
) -> Iterator[tuple[uvicorn.Config, int | None]]:
    """Loads the models and answers over gRPC; gives what uvicorn is to run for REST, and gRPC's port.

    At the end of the block calls in flight have STOP_SECONDS to be answered; then the models are unloaded.

    Args:
        sources: the models.
        poll_seconds: time between two looks for new versions.
        read_sources: as of `ModelManager`.
        grpc_address: `127.0.0.1:8500`, a free port for 0; no gRPC when None.
        timeout_seconds: a model that takes longer is answered with an error.
        max_body_bytes: larger bodies and messages are refused; no limit when None.

    Raises:
        FailedPreconditionError: if a model has no version that loads.
        OSError: if nothing can listen on the address; the message says so.
    """
    metrics = ServingMetrics()
    with contextlib.ExitStack() as opened:
        manager = opened.enter_context(ModelManager(sources, poll_seconds, read_sources))
        port = None
        if grpc_address is not None:
            grpc_server = build_grpc_server(manager, metrics, timeout_seconds, max_body_bytes)
            try:
                port = grpc_server.add_insecure_port(grpc_address)
            except RuntimeError:
                raise OSError(f"cannot listen on {grpc_address} for gRPC. Choose another port.") from None
            grpc_server.start()
            opened.callback(lambda: grpc_server.stop(STOP_SECONDS).wait())
        app = build_app(manager, timeout_seconds, max_body_bytes, metrics)
        yield (
            uvicorn.Config(app, http=HttpProtocol, log_level="warning", access_log=False, server_header=False),
            port,
        )
