"""Tests of what the tokenizer learns from: the training lists or the corpus, and nothing of a test."""

import dataclasses
from pathlib import Path

import pytest

from tfr_listbert.config import Config, DataConfig, FieldConfig, PretrainConfig, TextConfig
from tfr_listbert.lists.elwc import write_shards
from tfr_listbert.rows.corpus_texts import TextCounts, read_corpus
from tfr_listbert.rows.tokenizer_corpus import read_texts, train_configured_tokenizer
from tfr_listbert.schema import Document, InputError, RankedList
from tfr_listbert.text.tokenizer import read_tokenizer, train_tokenizer

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


def read_model(folder):
    return Path(folder, "sentencepiece.model").read_bytes()


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
    train_configured_tokenizer(config)
    assert read_tokenizer(config.text.folder).vocabulary_size == 290
    assert config.text.folder in capsys.readouterr().out


def test_the_tokenizer_of_a_run_is_not_replaced(config):
    beside = Path(config.text.folder).parent
    (beside / "config.yaml").touch()
    (beside / "best").mkdir()
    with pytest.raises(InputError, match=r"`text.folder` must not be the tokenizer of a run.*skip this step"):
        train_configured_tokenizer(config)
    assert not Path(config.text.folder).exists()
    (beside / "best").rmdir()  # a config of the user's own
    train_configured_tokenizer(config)


def test_a_field_that_the_lists_lack_is_named(config):
    with pytest.raises(InputError, match="no text field 'colour'"):
        next(read_texts(config.data.lists, (FieldConfig("colour"),)))


def test_no_query_of_a_set_that_is_tested_query_by_query_is_read(config):
    esci = dataclasses.replace(config, data=dataclasses.replace(config.data, reader="esci"))
    train_configured_tokenizer(esci)
    with_queries, without = config.text.folder, f"{config.text.folder}_without"
    texts = ["summer dress", "brand: acme", "jeans"] * 9
    train_tokenizer(texts, without, 290)
    assert read_model(with_queries) == read_model(without)
    train_configured_tokenizer(config)
    assert read_model(with_queries) != read_model(without)


def test_the_corpus_of_pretraining_teaches_the_tokenizer_without_what_it_holds_out_or_excludes(config, tmp_path):
    lines = [f"wooden chair {number}" for number in range(200)]
    (tmp_path / "products.txt").write_text("\n".join([*lines, "SECRET"]) + "\n")
    source = {"path": str(tmp_path / "products.txt")}
    pretrain = PretrainConfig(lists=False, sources=(source,), held_out_rate=0.5)
    text = dataclasses.replace(config.text, train_on="corpus")
    train_configured_tokenizer(dataclasses.replace(config, text=text, pretrain=pretrain))
    counts = TextCounts()
    (tmp_path / "scratch").mkdir()
    corpus = list(read_corpus(dataclasses.replace(config, pretrain=pretrain), tmp_path / "scratch", counts))
    learnt = [text for text, is_held_out in corpus if not is_held_out]
    assert counts.excluded == 1 and 50 < len(learnt) < 150 and "SECRET" not in learnt
    train_tokenizer(learnt, tmp_path / "expected", 290)
    assert read_model(config.text.folder) == read_model(tmp_path / "expected")
    assert {path.name for path in tmp_path.iterdir()} == {"lists", "products.txt", "scratch", "tokenizer", "expected"}


def test_a_kind_that_is_not_trained_is_refused(config):
    text = dataclasses.replace(config.text, tokenizer="byte_bpe")
    with pytest.raises(InputError, match="`text.tokenizer` must be sentencepiece"):
        train_configured_tokenizer(dataclasses.replace(config, text=text))
