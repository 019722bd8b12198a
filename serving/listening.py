"""A server's life: listening on a port, a free one for 0, saying so once requests are answered, and a clean end."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn


class AnnouncingServer(uvicorn.Server):
    """Prints a line when it is ready."""

    def __init__(self, config: uvicorn.Config, ready_message: str):
        """Makes the server; `run` starts it."""
        super().__init__(config)
        self._ready_message = ready_message

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, then prints the line."""
        await super().startup(sockets)
        if self.started:
            print(self._ready_message, flush=True)


@contextlib.contextmanager
def until_stopped() -> Iterator[None]:
    """Ends its block without an error on Ctrl-C and on SIGTERM, which `kill` and service managers send."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises the signal again after its own shutdown
    with contextlib.suppress(KeyboardInterrupt):
        yield


def spell_host(host: str) -> str:
    """Returns a host as a URL has it: an address of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def spell_address(listener: socket.socket) -> str:
    """Returns HOST:PORT of a socket, as a URL has it."""
    host, port = listener.getsockname()[:2]
    return f"{spell_host(host)}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket bound to a port.

    Raises:
        OSError: if it is taken or may not be used; the message says so.
    """
    # asyncio sends answers without delay only where the socket names its protocol; otherwise each waits for 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OSError(f"cannot listen on {host}:{port}: {reason}. Choose another port.") from None
    return listener
