"""What every tokenizer promises, entry by entry of the registry."""

import pytest
import tensorflow as tf

import tfr_listbert.text.byte_bpe  # noqa: F401  (registers the tokenizer)
from tfr_listbert.registry import TOKENIZERS
from tfr_listbert.text.byte_bpe import write_byte_bpe
from tfr_listbert.text.tokenizer import read_description, read_tokenizer, train_tokenizer

TEXTS = ["red summer dress", "Blue denim jeans", "größe 42 kleid"]


@pytest.fixture(params=TOKENIZERS)
def folder(request, tmp_path, reference_files):
    builders = {
        "sentencepiece": lambda folder: train_tokenizer(TEXTS * 3, folder, 330),
        "byte_bpe": lambda folder: write_byte_bpe(reference_files, folder, 800),
    }
    builders[request.param](tmp_path / request.param)
    return tmp_path / request.param


def test_a_tokenizer_keeps_the_contract(folder):
    tokenizer = read_tokenizer(folder)
    assert isinstance(tokenizer, tf.Module) and read_description(folder)["kind"] == folder.name
    ids = tokenizer.tokenize(tf.constant([*TEXTS, ""]))
    assert isinstance(ids, tf.RaggedTensor) and ids.dtype == tf.int32 and ids.row_lengths().numpy()[-1] == 0
    special = [tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id]
    assert len(set(special)) == 5 and not set(special) & set(ids.flat_values.numpy().tolist())
    assert ids.flat_values.numpy().max() < tokenizer.vocabulary_size and tokenizer.token_bytes >= 1
    pieces = tokenizer.list_pieces()
    assert len(pieces) == tokenizer.vocabulary_size and all(pieces[one] == "" for one in special)


def test_letters_of_a_texts_pieces_are_the_text(folder):
    tokenizer = read_tokenizer(folder)
    pieces = tokenizer.list_pieces()
    (ids,) = tokenizer.tokenize(tf.constant(["red summer dress"])).to_list()
    assert "".join(pieces[one] for one in ids).strip() == "red summer dress"
