"""Tests of byte-level BPE in the graph against the ids of the reference tokenizer."""

import dataclasses

import pytest
import tensorflow as tf

from tfr_listbert.config import FieldConfig
from tfr_listbert.schema import InputError
from tfr_listbert.text.byte_bpe import ByteBPE, write_byte_bpe
from tfr_listbert.text.packing import RowPacker
from tfr_listbert.text.tokenizer import read_tokenizer


@pytest.fixture(scope="module")
def tokenizer(reference_files):
    return ByteBPE(reference_files, len(reference_files.vocabulary))


def require_equal(tokenizer, strings, expected):
    ids = tokenizer.tokenize(tf.constant([string.encode() for string in strings])).to_list()
    wrong = [(string, got, want) for string, got, want in zip(strings, ids, expected, strict=True) if got != want]
    assert not wrong, f"{len(wrong)} of {len(strings)}, the first {wrong[0]}"


def test_ids_are_those_of_the_reference(tokenizer, reference):
    assert len(reference["strings"]) >= 10_000
    require_equal(tokenizer, reference["strings"], reference["ids"])


def test_a_text_has_the_same_ids_alone_and_among_others(tokenizer, reference):
    for string, ids in list(zip(reference["strings"], reference["ids"], strict=True))[5000:5050]:
        require_equal(tokenizer, [string], [ids])


def test_ids_with_a_space_before_each_text_are_those_of_the_reference(reference_files, reference):
    tokenizer = ByteBPE(dataclasses.replace(reference_files, add_prefix_space=True), 800)
    expected = reference["spaced_ids"]
    require_equal(tokenizer, reference["strings"][: len(expected)], expected)


def test_ids_of_merges_in_no_learnt_order_are_those_of_the_reference(reference_files, reference):
    merges = [tuple(merge) for merge in reference["shuffled_merges"]]
    tokenizer = ByteBPE(dataclasses.replace(reference_files, merges=merges), 800)
    require_equal(tokenizer, reference["strings"][:1000] + reference["strings"][-500:], reference["shuffled_ids"])


def test_no_typed_mark_yields_a_special_id(tokenizer):
    special = {tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id}
    texts = [
        f"{left}{mark}{right}"
        for mark in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
        for left in ("", " ", "x")
        for right in ("", " ", "x")
    ]
    assert not special & set(tokenizer.tokenize(tf.constant(texts)).flat_values.numpy().tolist())


def test_special_ids_come_from_the_vocabulary(tokenizer, reference_files):
    assert (tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert tokenizer.mask_id == reference_files.vocabulary["<mask>"]


def test_no_texts_and_empty_texts_have_no_ids(tokenizer):
    assert tokenizer.tokenize(tf.zeros([0], tf.string)).shape[0] == 0
    assert tokenizer.tokenize(tf.constant(["", ""])).to_list() == [[], []]


def test_a_vocabulary_beyond_the_embedding_is_refused(reference_files):
    rows = len(reference_files.vocabulary) - 1
    with pytest.raises(InputError, match=f"embedding of {rows} rows, got id {rows} for '<mask>'"):
        ByteBPE(reference_files, rows)


def test_a_written_tokenizer_is_read_as_it_was(reference_files, reference, tmp_path):
    write_byte_bpe(dataclasses.replace(reference_files, add_prefix_space=True), tmp_path / "tokenizer", 800)
    assert read_tokenizer(tmp_path / "tokenizer").vocabulary_size == 800
    require_equal(read_tokenizer(tmp_path / "tokenizer"), reference["strings"][:100], reference["spaced_ids"][:100])


def test_a_description_that_lacks_a_number_is_named(reference_files, tmp_path):
    write_byte_bpe(reference_files, tmp_path / "tokenizer", 800)
    (tmp_path / "tokenizer/tokenizer.json").write_text('{"kind": "byte_bpe", "version": 1, "add_prefix_space": false}')
    with pytest.raises(InputError, match="tokenizer.json must have `vocabulary_size`"):
        read_tokenizer(tmp_path / "tokenizer")


class _Exported(tf.Module):
    def __init__(self, packer):
        super().__init__()
        self.packer = packer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)])
    def pack(self, query, title):
        return self.packer.pack(query, {"title": title}, title != "")


def test_a_saved_packer_gives_the_same_ids_by_core_ops_alone(tokenizer, tmp_path):
    exported = _Exported(RowPacker(tokenizer, 4, (FieldConfig("title", tokens=6, template=" {}"),)))
    query, title = tf.constant(["red dress"]), tf.constant([["men's summer shoes 42", "", "赤い"]])
    tf.saved_model.save(exported, str(tmp_path / "saved"))
    rows = tf.saved_model.load(str(tmp_path / "saved")).pack(query, title).to_list()
    texts = tokenizer.tokenize(tf.constant(["red dress", " men's summer shoes 42", " 赤い"])).to_list()
    assert rows == [[0, *texts[0][:4], 2, 2, *document[:6], 2] for document in texts[1:]]
    graph = exported.pack.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not [node.op for node in nodes if "PyFunc" in node.op or "Sentencepiece" in node.op or "Mutable" in node.op]


def test_texts_can_be_tokenized_in_an_input_pipeline(tokenizer, reference):
    strings = tf.data.Dataset.from_tensor_slices([string.encode() for string in reference["strings"][:64]])
    rows = [row for batch in strings.batch(16).map(tokenizer.tokenize, num_parallel_calls=2) for row in batch.to_list()]
    assert rows == reference["ids"][:64]
