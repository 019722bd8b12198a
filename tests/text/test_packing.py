"""Tests of the row packer: which ids where, budgets, and the same ids after saving."""

import pytest
import tensorflow as tf

from tfr_listbert.config import FieldConfig
from tfr_listbert.text.packing import RowPacker
from tfr_listbert.text.tokenizer import train_tokenizer

TEXTS = ["red summer dress", "blue denim jeans", "jeans for men", "a red shirt", "brand: acme", "brand: umbrella"] * 3
QUERIES = ["red dress", "jeans"]
TITLES = [["red summer dress", "blue denim jeans", ""], ["jeans for men", "", ""]]
BRANDS = [["acme", "", ""], [" ", "umbrella", ""]]
MASK = [[True, True, False], [True, True, False]]
FIELDS = (FieldConfig("title", tokens=5), FieldConfig("brand", tokens=4, template="brand: {}!"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return train_tokenizer(TEXTS, tmp_path_factory.mktemp("text") / "tokenizer", 310)


@pytest.fixture(scope="module")
def packer(tokenizer):
    return RowPacker(tokenizer, query_tokens=3, fields=FIELDS)


@pytest.fixture
def ids(tokenizer):
    return lambda text: tokenizer.tokenize(tf.constant([text]))[0].numpy().tolist()


def batch():
    return tf.constant(QUERIES), {"title": tf.constant(TITLES), "brand": tf.constant(BRANDS)}, tf.constant(MASK)


def expected_rows(ids):
    return [
        [0, *ids("red dress")[:3], 2, 2, *ids("red summer dress")[:5], *ids("brand: acme!")[:4], 2],
        [0, *ids("red dress")[:3], 2, 2, *ids("blue denim jeans")[:5], 2],
        [0, *ids("jeans")[:3], 2, 2, *ids("jeans for men")[:5], 2],
        [0, *ids("jeans")[:3], 2, 2, *ids("brand: umbrella!")[:4], 2],
    ]


def test_rows_hold_query_and_fields_between_special_ids(packer, ids):
    rows = packer.pack(*batch())
    assert rows.dtype == tf.int32
    assert rows.to_list() == expected_rows(ids)


def test_a_budget_cuts_its_own_text_only(tokenizer, ids):
    assert len(ids("red summer dress for men")) > 2
    packer = RowPacker(tokenizer, 1, (FieldConfig("title", tokens=2), FieldConfig("brand", tokens=3)))
    (row,) = packer.pack(
        tf.constant(["red dress"]),
        {"title": tf.constant([["red summer dress for men"]]), "brand": tf.constant([["acme"]])},
        tf.constant([[True]]),
    ).to_list()
    assert row == [0, ids("red")[0], 2, 2, *ids("red summer dress")[:2], *ids("acme")[:3], 2]


def test_a_real_document_without_text_keeps_its_row(packer, ids):
    empty = tf.constant([[""]])
    rows = packer.pack(tf.constant(["jeans"]), {"title": empty, "brand": empty}, tf.constant([[True]]))
    assert rows.to_list() == [[0, *ids("jeans")[:3], 2, 2, 2]]


def test_towers_get_query_and_document_apart(packer, ids):
    queries, fields, mask = batch()
    assert packer.pack_queries(queries).to_list() == [[0, *ids(query)[:3], 2] for query in QUERIES]
    matrix, width = packer.pack_query_matrix(queries), max(len(ids(query)[:3]) for query in QUERIES) + 2
    assert matrix.shape == (len(QUERIES), width)
    assert [row[: row.index(2) + 1] for row in matrix.numpy().tolist()] == packer.pack_queries(queries).to_list()
    assert all(set(row[row.index(2) + 1 :]) <= {1} for row in matrix.numpy().tolist())
    rows, documents = packer.pack(queries, fields, mask).to_list(), packer.pack_documents(fields, mask).to_list()
    for row, document in zip(rows, documents, strict=True):
        assert document == [0, *row[row.index(2) + 2 :]]


def test_no_documents_and_no_lists_make_no_rows(packer):
    empty = tf.zeros([0, 3], tf.string)
    rows = packer.pack(tf.zeros([0], tf.string), {"title": empty, "brand": empty}, tf.zeros([0, 3], tf.bool))
    assert rows.shape[0] == 0
    assert packer.pack_queries(tf.zeros([0], tf.string)).shape[0] == 0
    queries, fields, mask = batch()
    assert packer.pack(queries, fields, tf.zeros_like(mask)).shape[0] == 0


def test_a_text_of_megabytes_keeps_the_tokens_of_its_budget(tokenizer, ids):
    packer = RowPacker(tokenizer, 16, (FieldConfig("title", tokens=32, template="{}"),))
    long = "   blue denim jeans for men " * 50_000
    (row,) = packer.pack(tf.constant([long]), {"title": tf.constant([[long]])}, tf.constant([[True]])).to_list()
    expected = ids("blue denim jeans for men " * 20)
    assert row == [0, *expected[:16], 2, 2, *expected[:32], 2]


def test_a_field_of_long_pieces_loses_no_token_of_its_budget(tmp_path):
    word = "wardrobe" * 2  # 16 characters, the longest piece
    tokenizer = train_tokenizer([f"{word} 𝔘𝔫𝔦 closet"] * 20, tmp_path / "tokenizer", 300)
    packer = RowPacker(tokenizer, 8, (FieldConfig("title", tokens=8),))
    text = f"{word} 𝔘𝔫𝔦 closet " * 30
    expected = tokenizer.tokenize(tf.constant([text]))[0].numpy().tolist()
    assert packer.pack_queries(tf.constant([text])).to_list() == [[0, *expected[:8], 2]]


class _Exported(tf.Module):
    def __init__(self, packer):
        super().__init__()
        self.packer = packer

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None, None], tf.string),
            tf.TensorSpec([None, None], tf.string),
            tf.TensorSpec([None, None], tf.bool),
        ]
    )
    def pack(self, query, title, brand, mask):
        return self.packer.pack(query, {"title": title, "brand": brand}, mask)


def test_a_saved_packer_gives_the_same_ids(packer, ids, tmp_path):
    tf.saved_model.save(_Exported(packer), str(tmp_path / "saved"))
    queries, fields, mask = batch()
    rows = tf.saved_model.load(str(tmp_path / "saved")).pack(queries, fields["title"], fields["brand"], mask)
    assert rows.to_list() == expected_rows(ids)


def test_the_graph_holds_only_text_ops_that_servers_have(packer):
    exported = _Exported(packer)
    graph = exported.pack.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    text_ops = {node.op for node in nodes if "sentencepiece" in node.op.lower() or "text" in node.op.lower()}
    assert text_ops <= {"SentencepieceOp", "SentencepieceTokenizeOp"}
    assert not {node.op for node in nodes} & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def test_rows_can_be_packed_in_an_input_pipeline(packer, ids):
    queries, fields, mask = batch()
    dataset = tf.data.Dataset.from_tensors((queries, fields, mask)).map(packer.pack, num_parallel_calls=2)
    assert next(iter(dataset)).to_list() == expected_rows(ids)
