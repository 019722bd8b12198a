"""Tokens per row stand in the statistics of the lists as soon as a tokenizer is trained on them."""

import csv
import json

import pytest
import tensorflow as tf

from tfr_listbert.config import Config, FieldConfig, TextConfig, build_dataclass
from tfr_listbert.lists.elwc import read_lists, write_shards
from tfr_listbert.lists.preparation import prepare_data
from tfr_listbert.rows.token_statistics import add_token_statistics
from tfr_listbert.rows.tokenizer_corpus import train_configured_tokenizer
from tfr_listbert.schema import Document, RankedList
from tfr_listbert.text.tokenizer import read_tokenizer


@pytest.fixture
def config(tmp_path):
    rows = [(f"query {query}", slot, f"red dress {slot}", slot % 2) for query in range(30) for slot in range(4)]
    with (tmp_path / "judged.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("query", "document_id", "title", "label"), *rows])
    values = {
        "data": {
            "reader": "table",
            "options": {"path": str(tmp_path / "judged.csv")},
            "lists": str(tmp_path / "lists"),
            "split": {"validation_rate": 0.0},
        },
        "text": {"folder": str(tmp_path / "tokenizer"), "vocabulary_size": 285},
    }
    return build_dataclass(Config, values, "")


def test_training_the_tokenizer_tells_the_tokens_of_each_split(config, tmp_path):
    prepare_data(config)
    before = json.loads((tmp_path / "lists" / "stats.json").read_text())
    train_configured_tokenizer(config)
    after = json.loads((tmp_path / "lists" / "stats.json").read_text())
    tokenizer = read_tokenizer(config.text.folder)
    for split in ("train", "test"):
        texts = [
            f"{one.query} {document.fields['title']}"
            for one in read_lists(config.data.lists, split)
            for document in one.documents
        ]
        lengths = tokenizer.tokenize(tf.constant(texts)).row_lengths().numpy()
        tokens = after["splits"][split].pop("tokens_per_row")
        assert tokens["mean"] == pytest.approx(lengths.mean(), abs=0.01)
        assert tokens["max"] == lengths.max()
        assert after["splits"][split].pop("cut_rates") == {"query": 0.0, "title": 0.0}
    assert after == before
    assert not list((tmp_path / "lists").glob(".*"))


class WordTokenizer(tf.Module):
    """A token per word, so that the counts can be worked out by hand."""

    def tokenize(self, texts):
        return tf.strings.split(texts)


def test_a_row_is_the_query_and_all_fields(config, tmp_path, capsys):
    prepare_data(config)
    fields = (FieldConfig("title", 3, "a {} !"),)  # "red dress 0" has three words, and two around them
    add_token_statistics(config.data.lists, WordTokenizer(), TextConfig(query_tokens=2, fields=fields))
    splits = json.loads((tmp_path / "lists" / "stats.json").read_text())["splits"]
    assert splits["train"]["tokens_per_row"] == splits["train"]["words_per_row"] == dict(mean=5, p50=5, p95=5, max=5)
    assert "tokens_per_row" not in splits["validation"]
    told = capsys.readouterr().out
    assert "test: tokens per row: mean 5, p50 5, p95 5, max 5" in told
    assert splits["test"]["cut_rates"] == {"query": 0.0, "title": 1.0}
    assert "test: texts cut by their budget: query 0.0%, title 100.0%" in told


def test_a_field_that_a_document_lacks_is_empty(tmp_path):
    documents = (Document("a", {"title": "red dress", "brand": "acme"}, 1.0), Document("b", {"title": "hat"}, 0.0))
    write_shards([RankedList("q", "dress", documents)], tmp_path, "train")
    (tmp_path / "stats.json").write_text('{"splits": {"train": {"lists": 1}}}')
    fields = (FieldConfig("title", 1), FieldConfig("brand", 1, "by {}"))
    add_token_statistics(tmp_path, WordTokenizer(), TextConfig(query_tokens=1, fields=fields))
    described = json.loads((tmp_path / "stats.json").read_text())["splits"]["train"]
    assert described["cut_rates"] == {"query": 0.0, "title": 0.5, "brand": 0.5}  # "red dress" and "by acme"
    assert (described["tokens_per_row"]["mean"], described["tokens_per_row"]["max"]) == (3, 4)
