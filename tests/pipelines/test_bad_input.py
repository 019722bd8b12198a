"""Scripts of pre-training and import answer what cannot be used with one message and exit code 2."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from tfr_listbert.config import write_config

TINY = Path(__file__).parents[1] / "encoders" / "hugging_face_tiny"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script of `pipelines/` and returns its exit code and the message on standard error."""

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"pipelines/{name}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(f"pipelines/{name}.py", run_name="__main__")
        return ended.value.code, capsys.readouterr().err

    return call


def cut_weights(folder):
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])


def add_symbol(folder):
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    (folder / "vocab.json").write_text(json.dumps(vocabulary | {"zz": 301}))


def remove_merges(folder):
    (folder / "merges.txt").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_weights, "model.safetensors is no whole safetensors file"),
        (add_symbol, "vocabulary must fit an embedding of 301 rows, got id 301"),
        (remove_merges, "merges.txt is missing"),
    ],
)
def test_a_model_that_is_not_whole_is_not_imported(damage, message, run, tmp_path):
    source = shutil.copytree(TINY, tmp_path / "source")
    damage(source)
    (tmp_path / "config.yaml").write_text("{}")
    arguments = [f"hugging_face.folder={source}", f"train.run={tmp_path / 'run'}"]
    code, error = run("import_hugging_face", tmp_path / "config.yaml", *arguments)
    assert code == 2 and error.startswith("error: ") and message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "corpus.txt is empty"),
        ("\n  \n\n", "has no rows"),
        ("the same line\n" * 500, "at least 2 different texts, one to train on and one held out, got 1 in 500 rows"),
    ],
)
def test_a_corpus_with_nothing_to_learn_is_not_trained_on(content, message, run, tiny_config, tmp_path):
    (tmp_path / "corpus.txt").write_text(content)
    write_config(tiny_config, tmp_path / "config.yaml")
    settings = [
        "pretrain.lists=false",
        f"pretrain.sources=[{{path: {tmp_path / 'corpus.txt'}}}]",
        "pretrain.row_tokens=32",
        f"train.run={tmp_path / 'run'}",
    ]
    code, error = run("pretrain", tmp_path / "config.yaml", *settings)
    assert code == 2 and re.search(rf"^error: .*{message}", error, re.MULTILINE)
    assert not (tmp_path / "run" / "config.yaml").exists()
