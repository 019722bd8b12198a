"""A server that answers over REST as scripted, and a client whose waits between attempts take no time."""

import gzip
import http.server
import json
import threading

import pytest

from serving.remote import errors


class _Script:
    """A server that answers as scripted and keeps what it was asked: a status, None to hang up, "late" not to."""

    def __init__(self, statuses):
        self.statuses = list(statuses)
        self.bodies = []
        self.scores = [1.0]
        self.fields = ["title"]
        self.connections = set()
        self.is_over = threading.Event()

    def handle(self, handler):
        self.connections.add(handler.client_address)
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        if handler.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.bodies.append(body)
        status = self.statuses.pop(0)
        if status == "late":
            self.is_over.wait(10)
        if status in (None, "late"):
            handler.close_connection = True
            return
        answer = json.dumps(self.answer(handler.command)).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def answer(self, method):
        inputs = {name: {"dtype": "DT_STRING"} for name in ("query", *self.fields)} | {"price": {"dtype": "DT_FLOAT"}}
        signatures = {"signature_def": {"serving_default": {"inputs": inputs}}}
        return {"metadata": {"signature_def": signatures}} if method == "GET" else {"outputs": [self.scores]}


@pytest.fixture
def waits(monkeypatch):
    """The seconds that clients would have waited between attempts."""
    found = []
    monkeypatch.setattr(errors.time, "sleep", found.append)
    return found


@pytest.fixture
def scripted(waits):
    servers = []

    def start(*statuses):
        script = _Script(statuses)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_POST = lambda self: script.handle(self)  # noqa: N815
            log_message = lambda *_: None  # noqa: E731

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append((server, script))
        script.url = f"http://127.0.0.1:{server.server_port}"
        script.waits = waits
        return script

    yield start
    for server, script in servers:
        script.is_over.set()
        server.shutdown()
        server.server_close()
