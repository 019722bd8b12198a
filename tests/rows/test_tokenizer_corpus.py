"""Tests of what the tokenizer learns from: the training lists, and nothing else."""

import dataclasses

import pytest

from tfr_listbert.config import Config, DataConfig, FieldConfig, TextConfig
from tfr_listbert.lists.elwc import write_shards
from tfr_listbert.rows.tokenizer_corpus import read_texts, train_tokenizer_from_lists
from tfr_listbert.schema import Document, InputError, RankedList
from tfr_listbert.text.tokenizer import read_tokenizer

FIELDS = (FieldConfig("title"), FieldConfig("brand", template="brand: {}"))


def ranked_list(query, *documents):
    return RankedList(
        query_id=query,
        query=query,
        documents=tuple(
            Document(document_id=f"{query}-{index}", fields={"title": title, "brand": brand}, label=1.0)
            for index, (title, brand) in enumerate(documents)
        ),
    )


@pytest.fixture
def config(tmp_path):
    write_shards([ranked_list("red dress", ("summer dress", "acme"), ("jeans", " "))] * 9, tmp_path / "lists", "train")
    write_shards([ranked_list("secret", ("hidden thing", "acme"))], tmp_path / "lists", "validation")
    write_shards([ranked_list("secret", ("hidden thing", "acme"))], tmp_path / "lists", "test")
    return Config(
        data=DataConfig(lists=str(tmp_path / "lists"), fields=("title", "brand")),
        text=TextConfig(vocabulary_size=290, folder=str(tmp_path / "tokenizer"), fields=FIELDS),
    )


def test_only_training_lists_are_read(config):
    assert list(read_texts(config.data.lists, FIELDS)) == ["red dress", "summer dress", "brand: acme", "jeans"] * 9


def test_the_tokenizer_is_written_where_the_config_says(config, capsys):
    train_tokenizer_from_lists(config)
    assert read_tokenizer(config.text.folder).vocabulary_size == 290
    assert config.text.folder in capsys.readouterr().out


def test_a_field_that_the_lists_lack_is_named(config):
    with pytest.raises(InputError, match="no text field 'colour'"):
        next(read_texts(config.data.lists, (FieldConfig("colour"),)))


def test_a_kind_that_is_not_trained_is_refused(config):
    text = dataclasses.replace(config.text, tokenizer="byte_bpe")
    with pytest.raises(InputError, match="`text.tokenizer` must be sentencepiece"):
        train_tokenizer_from_lists(dataclasses.replace(config, text=text))
