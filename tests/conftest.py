"""What tests of more than one folder share: a small shop, and a local server in a thread."""

import contextlib
import random
import socket
import threading
import time

import hypothesis
import pytest

from tfr_listbert.config import Config, build_dataclass
from tfr_listbert.lists.elwc import write_shards
from tfr_listbert.rows.tokenizer_corpus import train_tokenizer_from_lists
from tfr_listbert.schema import Document, RankedList

# How fast a busy machine draws examples is no promise of ours.
hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")

COLOURS = ("red", "blue", "green", "black", "white", "yellow")
TYPES = ("dress", "shoe", "shirt", "coat", "hat", "sock")


def build_list(number: int) -> RankedList:
    """Returns a list of 2 to 9 documents, graded 0 to 2 by the words of the query that the title has."""
    draw = random.Random(number)
    colour, kind = draw.choice(COLOURS), draw.choice(TYPES)
    documents = []
    for slot in range(draw.randint(2, 9)):
        words = draw.choice(COLOURS), draw.choice(TYPES)
        label = float((words[0] == colour) + (words[1] == kind))
        title = f"{words[0]} {words[1]} " + "extra " * draw.randint(0, 8)
        price = float("nan") if draw.random() < 0.1 else draw.uniform(5, 50)
        features = {"price": price}
        documents.append(Document(f"d{slot}", {"title": title, "brand": "acme"}, label, features, position=slot + 1))
    return RankedList(f"q{number}", f"{colour} {kind}", tuple(documents), query_count=number, is_seen=number % 2)


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Lists, a trained tokenizer and a config of a tiny ranker over them; runs must go to folders of the test's own."""
    folder = tmp_path_factory.mktemp("shop")
    for split, numbers in {"train": range(96), "validation": range(100, 116), "test": range(200, 224)}.items():
        write_shards(map(build_list, numbers), folder / "lists", split, shard_lists=40)
    fields = [{"name": "title", "tokens": 12}, {"name": "brand", "tokens": 3, "template": "by {}"}]
    encoder = {"size": "tiny", "layers": 1, "heads": 2, "width": 16, "inner_width": 32, "positions": 64}
    values = {
        "data": {"lists": str(folder / "lists"), "fields": ["title", "brand"], "features": ["price"]},
        "text": {
            "folder": str(folder / "tokenizer"),
            "vocabulary_size": 320,
            "query_tokens": 6,
            "fields": fields,
        },
        "encoder": encoder,
        "model": {"features": ["price"], "buckets": 3},
        "train": {"run": str(folder / "run"), "epochs": 2, "batch_lists": 10, "learning_rate": 1e-3, "seed": 5},
        "evaluate": {"resamples": 200, "batch_lists": 7},
    }
    config = build_dataclass(Config, values, "")
    train_tokenizer_from_lists(config)
    return config


@contextlib.contextmanager
def _run_server(sources, poll_seconds=0.05, **settings):
    import uvicorn

    from serving.local.app import build_app
    from serving.local.manager import ModelManager

    listener = socket.socket(proto=socket.IPPROTO_TCP)  # without, asyncio leaves each answer waiting for 40 ms
    listener.bind(("127.0.0.1", 0))
    with ModelManager(sources, poll_seconds) as manager:
        app = build_app(manager, **settings)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server stopped while it started"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="session")
def run_server():
    """Runs a local server in a thread, over a real socket: `with run_server(sources) as url`."""
    return _run_server
