"""What tests of more than one folder share: a small shop, an exported ranker, and a local server in a thread."""

import contextlib
import fcntl
import json
import math
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import hypothesis
import pytest

from tfr_listbert.config import Config, build_dataclass, read_config, write_config
from tfr_listbert.lists.elwc import write_shards
from tfr_listbert.rows.tokenizer_corpus import train_configured_tokenizer
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
        "model": {"features": ["price"], "buckets": 2},
        "train": {"run": str(folder / "run"), "epochs": 2, "batch_lists": 10, "learning_rate": 1e-3, "seed": 5},
        "evaluate": {"resamples": 200, "batch_lists": 7},
    }
    config = build_dataclass(Config, values, "")
    train_configured_tokenizer(config)
    return config


def share_folder(tmp_path_factory: pytest.TempPathFactory, name: str, fill) -> Path:
    """Returns a folder of all processes of this run of the tests; the first that comes calls `fill(folder)`."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "filled").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            (folder / "filled").touch()
    return folder


TEXTS = [
    "red summer dress with short sleeves",
    "blue denim jacket for men",
    "running shoes white and grey",
    "wooden garden chair, foldable",
    "Größe 42 schwarz Stiefel",
]


def build_export_config(folder: Path) -> Config:
    """Returns the config of a run in `folder` with two fields and two features, to be exported."""
    values = {
        "data": {"lists": str(folder / "lists"), "fields": ["title", "brand"], "features": ["price", "rating"]},
        "text": {
            "vocabulary_size": 350,
            "folder": str(folder / "tokenizer"),
            "query_tokens": 8,
            "fields": [{"name": "title", "tokens": 12}, {"name": "brand", "tokens": 4, "template": "by {}"}],
        },
        "encoder": {
            "size": "tiny",
            "layers": 1,
            "width": 32,
            "inner_width": 64,
            "match_marks": True,
            "letter_marks": True,
        },
        "model": {"features": ["price", "rating"]},
        "train": {"run": str(folder / "run")},
        "evaluate": {"resamples": 200},
        "export": {"output": str(folder), "warmup_lists": [1, 5]},
    }
    return build_dataclass(Config, values, "")


def build_text_list(number: int) -> RankedList:
    """Returns a list of 2 to 5 of the texts, one of which is relevant."""
    documents = tuple(
        Document(f"d{i}", {"title": text, "brand": ""}, float(i == number % 5), {"price": i + 1.0, "rating": math.nan})
        for i, text in enumerate(TEXTS)
    )
    return RankedList(f"q{number}", TEXTS[number % 5].split()[0], documents[: 2 + number % 4])


def export_random_ranker(folder: Path) -> None:
    """Writes a run whose weights are random and large enough to tell documents apart, and exports it by the script."""
    import tensorflow as tf

    from tfr_listbert.rows.profile import RowProfile
    from tfr_listbert.text.tokenizer import train_tokenizer
    from tfr_listbert.training.checkpoints import RunCheckpoints
    from tfr_listbert.training.rankers import build_batcher, build_run_ranker
    from tfr_listbert.training.run_folder import open_run

    config = build_export_config(folder)
    tokenizer = train_tokenizer(TEXTS * 3, config.text.folder, config.text.vocabulary_size)
    profile = RowProfile(widths=(12, 28), feature_means=(10.0, 3.0), feature_deviations=(5.0, 1.0))
    open_run(config, lambda: profile)
    ranker = build_run_ranker(config, build_batcher(config, tokenizer), profile)
    for index, variable in enumerate(ranker.row_scorer.trainable_variables):
        variable.assign(variable + tf.random.stateless_normal(variable.shape, [1, index], stddev=0.1))
    for split, count in {"validation": 8, "test": 20}.items():
        write_shards(map(build_text_list, range(count)), config.data.lists, split)
    optimizer = tf.keras.optimizers.Adam()
    RunCheckpoints(config.train.run, ranker.row_scorer.list_objects(), optimizer).save_best(1)
    write_config(config, folder / "config.yaml")
    command = [sys.executable, "pipelines/export.py", str(folder / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    (folder / "done.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr]))


@pytest.fixture(scope="session")
def export_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random ranker's run and its export: the versions in `ranker`, what the script said in
    `done.json`. Not to be changed."""
    return share_folder(tmp_path_factory, "exported", export_random_ranker)


@pytest.fixture(scope="session")
def run_config(export_folder: Path) -> Config:
    """The config of the run that is exported."""
    return read_config(export_folder / "config.yaml")


@pytest.fixture(scope="session")
def exported(export_folder: Path) -> Path:
    """The exported version."""
    return export_folder / "ranker" / "1"


@contextlib.contextmanager
def _run_servers(sources, poll_seconds=0.05, **settings):
    import uvicorn

    from serving.listening import listen
    from serving.local.server import open_server

    listener = listen("127.0.0.1", 0)
    with open_server(sources, poll_seconds, grpc_address="127.0.0.1:0", **settings) as (config, grpc_port):
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server stopped while it started"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", f"grpc://127.0.0.1:{grpc_port}"
        finally:
            server.should_exit = True
            thread.join(30)


@contextlib.contextmanager
def _run_server(*arguments, **settings):
    with _run_servers(*arguments, **settings) as (url, _):
        yield url


@pytest.fixture(scope="session")
def run_server():
    """Runs a local server in a thread, over a real socket: `with run_server(sources) as url`."""
    return _run_server


@pytest.fixture(scope="session")
def served(exported: Path):
    """REST and gRPC addresses of a local server of the exported version, as model `ranker`."""
    from serving.local.sources import ModelSource

    with _run_servers([ModelSource("ranker", exported.parent)]) as urls:
        yield urls


@pytest.fixture(scope="session")
def build_runner():
    """Gives of a list what takes the place of `run_all`: it runs in this process and notes each run in the list."""

    def build(ran):
        from tfr_listbert.training.experiments.outcome import run_to_end

        def run_here(runs, jobs, on_end):
            for run in runs:
                ran.append(run)
                run_to_end(run.config, run.is_trial)
                on_end(run)
            return []

        return run_here

    return build
