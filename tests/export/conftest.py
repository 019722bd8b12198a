"""A tiny ranker with random weights, its run folder, and its export by the script."""

import subprocess
import sys

import pytest
import tensorflow as tf

from tfr_listbert.config import Config, build_dataclass, write_config
from tfr_listbert.export.bundle import build_text_ranker
from tfr_listbert.lists.elwc import write_shards
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.schema import Document, RankedList
from tfr_listbert.text.tokenizer import train_tokenizer
from tfr_listbert.training.checkpoints import RunCheckpoints
from tfr_listbert.training.runs import build_batcher, build_run_ranker, list_model_objects, open_run, read_ranker

TEXTS = [
    "red summer dress with short sleeves",
    "blue denim jacket for men",
    "running shoes white and grey",
    "wooden garden chair, foldable",
    "Größe 42 schwarz Stiefel",
]


def build_export_config(folder):
    values = {
        "data": {"lists": str(folder / "lists"), "fields": ["title", "brand"], "features": ["price", "rating"]},
        "text": {
            "vocabulary_size": 350,
            "folder": str(folder / "tokenizer"),
            "query_tokens": 8,
            "fields": [{"name": "title", "tokens": 12}, {"name": "brand", "tokens": 4, "template": "by {}"}],
        },
        "encoder": {"size": "tiny", "layers": 2, "width": 32, "inner_width": 64},
        "model": {"features": ["price", "rating"]},
        "train": {"run": str(folder / "run")},
        "evaluate": {"resamples": 200},
        "export": {"output": str(folder / "export"), "warmup_lists": [1, 5]},
    }
    return build_dataclass(Config, values, "")


def build_list(number):
    documents = tuple(
        Document(f"d{i}", {"title": text}, float(i == number % 5), {"price": i + 1.0}) for i, text in enumerate(TEXTS)
    )
    return RankedList(f"q{number}", TEXTS[number % 5].split()[0], documents[: 2 + number % 4])


@pytest.fixture(scope="session")
def run_config(tmp_path_factory):
    """The config of a run folder whose weights are random and large enough to tell documents apart."""
    folder = tmp_path_factory.mktemp("ranker")
    config = build_export_config(folder)
    tokenizer = train_tokenizer(TEXTS * 3, config.text.folder, config.text.vocabulary_size)
    profile = RowProfile(widths=(12, 28), feature_means=(10.0, 3.0), feature_deviations=(5.0, 1.0))
    open_run(config, lambda: profile)
    ranker = build_run_ranker(config, build_batcher(config, tokenizer), profile)
    for index, variable in enumerate(ranker.row_scorer.trainable_variables):
        variable.assign(variable + tf.random.stateless_normal(variable.shape, [1, index], stddev=0.1))
    for split, count in {"validation": 8, "test": 20}.items():
        write_shards(map(build_list, range(count)), config.data.lists, split)
    optimizer = tf.keras.optimizers.Adam()
    RunCheckpoints(config.train.run, list_model_objects(ranker.row_scorer), optimizer).save_best(1)
    return config


@pytest.fixture(scope="session")
def text_ranker(run_config):
    return build_text_ranker(read_ranker(run_config.train.run))


@pytest.fixture(scope="session")
def process(run_config, tmp_path_factory):
    """The script, run once, and the folder of versions."""
    folder = tmp_path_factory.mktemp("export")
    write_config(run_config, folder / "config.yaml")
    command = [sys.executable, "pipelines/export.py", str(folder / "config.yaml"), f"export.output={folder}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300), folder / "ranker"


@pytest.fixture(scope="session")
def exported(process):
    return process[1] / "1"
