"""HTTP as uvicorn reads it by httptools, 0.2 ms a request faster than by h11 (1.5 to 1.7 ms over the bare model, after
1.5 to 1.9), with one status mended."""

from __future__ import annotations

import sys

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_NOT_IMPLEMENTED = b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class HttpProtocol(HttpToolsProtocol):
    """Answers a method that the parser does not know with 501, as TensorFlow Serving's HTTP library does."""

    def send_400_response(self, msg: str) -> None:
        """Answers a request that the parser refuses, while its error is being handled."""
        if not isinstance(sys.exception(), httptools.HttpParserInvalidMethodError):
            super().send_400_response(msg)
            return
        self.transport.write(_NOT_IMPLEMENTED)
        self.transport.close()
