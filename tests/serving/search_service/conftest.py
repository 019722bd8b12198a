"""A server that answers searches as OpenSearch does."""

import gzip
import http.server
import json
import threading

import pytest

SOURCES = {
    "1": {"document_id": "a", "title": "red dress", "brand": "acme", "price": 10.0},
    "2": {"document_id": "b", "title": "long red dress", "brand": "red hat", "price": 20.0},
    "3": {"title": "blue hat", "brand": "acme"},
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Counts the words that query and fields share, as `most_fields` adds up scores."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.asked.append((self.path, json.loads(body)))
        if self.path != "/products/_search":
            cause = {"type": "index_not_found_exception", "reason": "no such index"}
            return self.answer(404, {"error": {"root_cause": [cause], **cause}, "status": 404})
        body = json.loads(body)
        match = body["query"]["multi_match"]
        scores = {key: self.count(match, source) for key, source in SOURCES.items()}
        found = sorted((key for key in SOURCES if scores[key]), key=lambda key: -scores[key])[: body["size"]]
        hits = [
            {"_index": "products", "_id": key, "_score": float(scores[key]), "_source": SOURCES[key]} for key in found
        ]
        return self.answer(200, {"took": 1, "timed_out": False, "hits": {"hits": hits}})

    def count(self, match, source):
        words = match["query"].lower().split()
        return sum(source.get(field, "").split().count(word) for field in match["fields"] for word in words)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def open_search():
    """URL of the server, and what it was asked."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", server.asked
    server.shutdown()
    server.server_close()
