"""Tests of the SentencePiece tokenizer: its ids, its training and what no text may do to it."""

import json
import random

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer, train_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = ["red summer dress", "Blue denim jeans", "jeans for men", "a red shirt, size XL", "größe 42 kleid"] * 3
# What a forger would write in a shop's product texts to have special ids learnt as ordinary pieces.
FORGED = [f"{left}{mark}{right}" for mark in [*SPECIAL, "<0x41>", "<MASK>"] for left in "x " for right in "y "] * 50


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return train_tokenizer(TEXTS + FORGED, tmp_path_factory.mktemp("text") / "tokenizer", 380)


def tokenize(tokenizer, text):
    return tokenizer.tokenize(tf.constant([text]))[0].numpy().tolist()


def special_ids(tokenizer):
    return {tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id}


def test_special_ids_are_those_of_roberta(tokenizer):
    names = [tokenizer._tokenizer.id_to_string(index).numpy().decode() for index in (0, 1, 2, 3, 379)]
    assert names == SPECIAL
    assert (tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert tokenizer.mask_id == tokenizer.vocabulary_size - 1 == 379


@pytest.mark.parametrize(
    "mark",
    [*SPECIAL, "<0x41>", "<0x00>", "▁", "▁<mask>", "<MASK>", "＜ｍａｓｋ＞", "＜/s＞", "‹s›", "[MASK]", "⁇", "▅"],
)
def test_no_typed_mark_yields_a_special_id(tokenizer, mark):
    for text in (mark, f" {mark} ", f"red{mark}dress", mark * 3, f"{mark}\0{mark}", mark[:-1], f"<{mark}>"):
        assert not special_ids(tokenizer) & set(tokenize(tokenizer, text)), text


def test_a_byte_written_out_is_not_that_byte(tokenizer):
    assert len(tokenize(tokenizer, "<0x41>")) > 1


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.one_of(st.sampled_from([*SPECIAL, "<", ">", "s", "/", " ", "▁", "\0"]), st.text(max_size=5))))
def test_no_text_at_all_yields_a_special_id(tokenizer, parts):
    assert not special_ids(tokenizer) & set(tokenize(tokenizer, "".join(parts).encode("utf-8", "surrogatepass")))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=40))
def test_no_bytes_are_unencodable(tokenizer, data):
    assert not special_ids(tokenizer) & set(tokenize(tokenizer, data))


def test_unknown_characters_become_their_bytes(tokenizer):
    ids = tokenize(tokenizer, "🙂")
    names = [tokenizer._tokenizer.id_to_string(index).numpy().decode() for index in ids]
    assert names == ["▁", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>"]


def test_empty_text_has_no_tokens(tokenizer):
    assert tokenizer.tokenize(tf.constant(["", "  ", "red"])).row_lengths().numpy().tolist()[:2] == [0, 0]


def test_case_is_folded_only_if_asked(tokenizer, tmp_path):
    assert tokenize(tokenizer, "RED Dress") == tokenize(tokenizer, "red dress")
    keeping = train_tokenizer(TEXTS, tmp_path / "tokenizer", 310, lowercase=False)
    assert tokenize(keeping, "Blue") != tokenize(keeping, "blue")


def test_training_does_not_depend_on_the_order_of_texts(tmp_path):
    shuffled = random.Random(1).sample(TEXTS, len(TEXTS))
    train_tokenizer(TEXTS, tmp_path / "first", 330)
    train_tokenizer(iter(shuffled), tmp_path / "second", 330)
    for name in ("tokenizer.json", "sentencepiece.model"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_overlong_lines_and_words_are_learnt_from(tmp_path):
    texts = ["wardrobe " * 20_000, "q" * 50_000, "▅zebra zebra " * 1000]
    tokenizer = train_tokenizer(texts, tmp_path / "tokenizer", 290)
    for text in ("wardrobe", "q" * 16, "zebra"):
        assert len(tokenize(tokenizer, text)) == 1 + text.startswith("q"), text


def test_text_with_nulls_and_lone_surrogates_is_learnt_from(tmp_path):
    tokenizer = train_tokenizer(["red\0dress \ud800 red dress"] * 4, tmp_path / "tokenizer", 275)
    assert len(tokenize(tokenizer, "red dress")) == 2


def test_a_read_tokenizer_equals_the_trained_one(tokenizer, tmp_path):
    trained = train_tokenizer(TEXTS, tmp_path / "tokenizer", 330)
    text = "Red jeans, größe 43 <mask> 🙂"
    assert tokenize(read_tokenizer(tmp_path / "tokenizer"), text) == tokenize(trained, text)


def test_training_again_replaces_the_folder_and_leaves_nothing_beside(tmp_path):
    train_tokenizer(TEXTS, tmp_path / "tokenizer", 330)
    train_tokenizer(TEXTS, tmp_path / "tokenizer", 320)
    assert read_tokenizer(tmp_path / "tokenizer").vocabulary_size == 320
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]


def test_a_folder_of_somebody_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="`text.folder` names .* which has other files in it"):
        train_tokenizer(TEXTS, tmp_path, 330)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_vocabulary_that_the_text_cannot_fill_is_answered_with_the_largest(tmp_path):
    with pytest.raises(InputError, match=r"`text.vocabulary_size` must be <= (\d+), .* got 8000") as error:
        train_tokenizer(TEXTS, tmp_path / "tokenizer", 8000)
    largest = int(str(error.value).split("<= ")[1].split(",")[0])
    assert train_tokenizer(TEXTS, tmp_path / "tokenizer", largest).vocabulary_size == largest
    with pytest.raises(InputError, match=f"<= {largest}"):
        train_tokenizer(TEXTS, tmp_path / "tokenizer", largest + 1)


def test_a_vocabulary_that_cannot_hold_the_characters_is_answered_with_the_smallest(tmp_path):
    with pytest.raises(InputError, match=r"`text.vocabulary_size` must be >= \d+ .* got 262"):
        train_tokenizer(TEXTS, tmp_path / "tokenizer", 262)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("texts", [[], [""], ["  ", "\0"]])
def test_no_text_is_a_clear_error(texts, tmp_path):
    with pytest.raises(InputError, match="no text to train"):
        train_tokenizer(texts, tmp_path / "tokenizer", 300)


def test_a_missing_tokenizer_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match="Run train_tokenizer first"):
        read_tokenizer(tmp_path)


def _break_json(folder):
    (folder / "tokenizer.json").write_text("{")


def _change(**values):
    def change(folder):
        content = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").write_text(json.dumps({**content, **values}))

    return change


def _cut_model(folder):
    path = folder / "sentencepiece.model"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_break_json, "not valid JSON"),
        (_change(version=2), "must have `version` 1, got 2"),
        (_change(kind="sentencepeice"), "Did you mean 'sentencepiece'"),
        (_change(vocabulary_size=331), "must hold 331 pieces .* got 330"),
        (_cut_model, "is not a SentencePiece model"),
        (lambda folder: (folder / "sentencepiece.model").unlink(), "sentencepiece.model is missing"),
    ],
)
def test_damaged_files_are_named(damage, message, tmp_path):
    train_tokenizer(TEXTS, tmp_path / "tokenizer", 330)
    damage(tmp_path / "tokenizer")
    with pytest.raises(InputError, match=message):
        read_tokenizer(tmp_path / "tokenizer")
