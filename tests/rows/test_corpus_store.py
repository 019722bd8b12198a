"""Token rows on disk: nothing lost, nothing but a chunk held."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.rows import corpus_store
from tfr_listbert.rows.corpus_store import read_rows, split_lengths, write_rows
from tfr_listbert.text.tokenizer import train_tokenizer

BOS, PAD, EOS = 0, 1, 2


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return train_tokenizer(["red dress", "blue hat"] * 9, tmp_path_factory.mktemp("tokenizer") / "t", 275)


def build_texts(number):
    """Texts of 1 to 40 words; every tenth is held out."""
    draw = np.random.default_rng(3)
    words = ["red", "dress", "blue", "hat"]
    return [
        (" ".join(draw.choice(words, draw.integers(1, 41))) + f" {index}", index % 10 == 0) for index in range(number)
    ]


def list_rows(arrays):
    """All rows without their padding, in a set."""
    return {tuple(row[row != PAD].tolist()) for array in arrays for row in array}


@pytest.mark.parametrize("chunk_rows", [7, 65_536])
def test_every_text_becomes_a_row_of_its_part(tokenizer, tmp_path, monkeypatch, chunk_rows):
    monkeypatch.setattr(corpus_store, "_CHUNK_ROWS", chunk_rows)
    monkeypatch.setattr(corpus_store, "_CHUNK_TEXTS", 64)
    texts = build_texts(500)
    written = write_rows(iter(texts), tokenizer, tmp_path, row_tokens=400, buckets=5)
    for part, is_held_out in (("train", False), ("held_out", True)):
        chosen = [text for text, held_out in texts if held_out == is_held_out]
        expected = [(BOS, *row, EOS) for row in tokenizer.tokenize(tf.constant(chosen)).to_list()]
        arrays = read_rows(tmp_path, part)
        assert list_rows(arrays) == set(expected)
        assert sum(map(len, arrays)) == len(expected)
        assert written[part] == sum(map(len, expected))
        assert len(arrays) <= 5 and all(array.dtype == np.uint16 for array in arrays)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy"}


def test_widths_leave_little_padding(tokenizer, tmp_path):
    written = write_rows(iter(build_texts(500)), tokenizer, tmp_path, row_tokens=400, buckets=16)
    assert written["train"] > 0.95 * sum(array.size for array in read_rows(tmp_path, "train"))


def test_a_long_text_becomes_several_even_rows(tokenizer, tmp_path):
    text = "red dress blue hat " * 10
    write_rows(iter([(text, False), ("", False)]), tokenizer, tmp_path, row_tokens=20, buckets=4)
    tokens = tokenizer.tokenize(tf.constant([text])).to_list()[0]
    rows = [row[row != PAD].tolist() for array in read_rows(tmp_path, "train") for row in array]
    assert sum((row[1:-1] for row in sorted(rows, key=lambda row: -len(row))), []) == tokens
    assert len(rows) == -(-len(tokens) // 18) and {len(row) for row in rows} <= {
        len(tokens) // len(rows) + 2,
        len(tokens) // len(rows) + 3,
    }
    assert read_rows(tmp_path, "held_out") == ()


def test_lengths_are_split_as_even_as_can_be():
    lengths = np.arange(60)
    pieces = split_lengths(lengths, 7)
    assert pieces.max() == 7 and pieces.min() >= 1 and pieces.sum() == lengths.sum()
    assert split_lengths(np.array([15]), 7).tolist() == [5, 5, 5]
    assert split_lengths(np.array([], int), 7).tolist() == []


def test_a_large_vocabulary_gets_room_for_its_ids(tmp_path):
    class Tokenizer:
        bos_id, pad_id, eos_id, vocabulary_size = BOS, PAD, EOS, 2**16 + 1

        def tokenize(self, texts):
            return tf.ragged.constant([[2**16]] * len(texts), tf.int32)

    write_rows(iter([("a", False)]), Tokenizer(), tmp_path, 8, 2)
    np.testing.assert_array_equal(read_rows(tmp_path, "train")[0], [[BOS, 2**16, EOS]])
