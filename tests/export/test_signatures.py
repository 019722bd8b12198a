"""A served ranker scores raw text as its parts score each document alone."""

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.export.text_ranker import TextRanker
from tfr_listbert.schema import PADDING_SCORE


@pytest.fixture(scope="module")
def ask(reloaded):
    """Asks a signature with documents as tuples (title, brand, price, rating), lists padded to the longest."""

    def call(queries, lists, signature="serving_default", **more):
        slots = max((len(documents) for documents in lists), default=0)
        padded = [[*documents, *[("", "", 0.0, 0.0)] * (slots - len(documents))] for documents in lists]

        def column(index, dtype):
            values = [[document[index] for document in documents] for documents in padded]
            return np.array(values, dtype).reshape(len(lists), slots)

        columns = {"title": column(0, object), "brand": column(1, object), "price": column(2, float)}
        return reloaded.ask(signature, {"query": queries, **columns, "rating": column(3, float), **more})

    return call


def score_alone(ranker, query, document):
    """The score of one document, by way of the packer and the row scorer alone."""
    fields = {name: tf.constant([[document[i]]]) for i, name in enumerate(("title", "brand"))}
    rows = ranker._packer.pack(tf.constant([query]), fields, tf.constant([[True]]))
    return float(ranker._row_scorer(rows, tf.constant([document[2:]], tf.float32))[0])


DRESS = ("red summer dress", "Acme", 12.0, 4.0)
BOOTS = ("Größe 42 schwarz Stiefel", "", float("nan"), 5.0)
CHAIR = ("", "wooden garden chair", 80.0, float("nan"))


def test_scores_are_those_of_each_document_alone(text_ranker, ask):
    lists = [[DRESS, BOOTS, CHAIR], [CHAIR], [BOOTS, DRESS]]
    queries = ["red dress", "", "garden"]
    scores = ask(queries, lists)["scores"]
    assert scores.dtype == np.float32
    for row, (query, documents) in enumerate(zip(queries, lists, strict=True)):
        alone = [score_alone(text_ranker, query, document) for document in documents]
        np.testing.assert_allclose(scores[row, : len(documents)], alone, atol=1e-5)
        assert np.all(scores[row, len(documents) :] == np.float32(PADDING_SCORE))
    assert np.ptp(scores[0]) > 1e-3


def test_padding_between_documents_changes_nothing(ask):
    empty = ("", "", 5.0, 5.0)
    packed = ask(["dress"], [[DRESS, BOOTS]])["scores"]
    spread = ask(["dress"], [[empty, DRESS, empty, BOOTS]])["scores"]
    np.testing.assert_allclose(spread[:, [1, 3]], packed, atol=1e-5)
    assert np.all(spread[:, [0, 2]] == np.float32(PADDING_SCORE))


def test_lists_without_documents_are_answered(ask):
    assert ask(["dress", "hat"], [[], []])["scores"].shape == (2, 0)
    assert ask([], [])["scores"].shape == (0, 0)
    assert ask(["dress"], [[("", "", 0.0, 0.0)]])["scores"].tolist() == [[np.float32(PADDING_SCORE)]]
    assert ask(["dress"], [[]], "rank")["order"].shape == (1, 0)


def test_thousand_documents_score_as_one(text_ranker, ask):
    documents = [(f"red dress number {index}", "", 1.0, 1.0) for index in range(1000)]
    scores = ask(["red dress"], [documents])["scores"]
    assert np.all(np.isfinite(scores)) and scores.shape == (1, 1000)
    for index in (0, 417, 999):
        assert scores[0, index] == pytest.approx(score_alone(text_ranker, "red dress", documents[index]), abs=1e-5)


def test_any_text_gets_a_finite_score(text_ranker, ask):
    texts = [
        "x" * 2**20,
        "dress " * 2**17,
        "靴 スニーカー 👟",
        "\u202e\u200d\ufeff",
        "\x00",
        " \t\n",
        b"\xff\xfe broken",
        "<s></s><pad><mask>",
        "e\u0301" * 500,
    ]
    documents = [(text, "", 1.0, 1.0) for text in texts]
    for query in ["dress", "", "\x00", "q" * 2**20]:
        scores = ask([query], [documents])["scores"][0]
        assert np.all(np.isfinite(scores)) and np.all(scores > PADDING_SCORE)
        for score, document in zip(scores, documents, strict=True):
            assert score == pytest.approx(score_alone(text_ranker, query, document), abs=1e-5)


def test_infinite_features_count_as_missing(ask):
    infinite = [("dress", "", float("inf"), float("-inf"))]
    missing = [("dress", "", float("nan"), float("nan"))]
    assert ask(["q"], [infinite])["scores"].tolist() == ask(["q"], [missing])["scores"].tolist()


def test_rank_orders_from_best_to_worst_with_padding_last(ask):
    outputs = ask(["red dress"], [[DRESS, ("", "", 1.0, 1.0), BOOTS, DRESS, CHAIR]], "rank")
    scores, order = outputs["scores"][0], outputs["order"][0]
    assert order.dtype == np.int32
    assert outputs["sorted_scores"][0].tolist() == sorted(scores.tolist(), reverse=True)
    assert scores[order].tolist() == outputs["sorted_scores"][0].tolist()
    assert order[-1] == 1
    assert order.tolist().index(0) < order.tolist().index(3), "equal scores keep their order"


def test_rank_n_scores_the_documents_that_are_counted(ask):
    copies = [[DRESS, BOOTS, DRESS, DRESS]]  # as a server pads that repeats the first document
    outputs = ask(["dress"], copies, "rank_n", num_documents=[2])
    np.testing.assert_allclose(outputs["scores"][:, :2], ask(["dress"], [[DRESS, BOOTS]])["scores"], atol=1e-5)
    assert np.all(outputs["scores"][:, 2:] == np.float32(PADDING_SCORE))


def test_rank_n_scores_a_document_without_text(text_ranker, ask):
    blank = ("", "", 1.0, 1.0)
    outputs = ask(["dress"], [[blank, DRESS]], "rank_n", num_documents=[2])
    assert outputs["scores"][0, 0] == pytest.approx(score_alone(text_ranker, "dress", blank), abs=1e-5)


def test_token_rows_score_as_their_text(text_ranker, reloaded, ask):
    fields = {"title": tf.constant([["red summer dress", "hat"]]), "brand": tf.constant([["Acme", ""]])}
    rows = text_ranker._packer.pack(tf.constant(["red"]), fields, tf.constant([[True, True]]))
    inputs = {"tokens": rows.to_tensor(1).numpy(), "price": [12.0, 1.0], "rating": [4.0, 2.0]}
    scores = reloaded.ask("score_tokens", inputs)["scores"]
    expected = ask(["red"], [[DRESS, ("hat", "", 1.0, 2.0)]])["scores"][0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("row", [[1, 1], [0] * 29, [0, 350, 2]], ids=["empty", "too long", "unknown id"])
def test_token_row_that_is_none_is_refused(reloaded, row):
    with pytest.raises(tf.errors.InvalidArgumentError):
        reloaded.ask("score_tokens", {"tokens": [row], "price": [1.0], "rating": [1.0]})


@pytest.mark.parametrize("count", [-1, 2])
def test_count_that_the_slots_cannot_hold_is_refused(ask, count):
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_documents"):
        ask(["dress"], [[DRESS]], "rank_n", num_documents=[count])


@pytest.mark.parametrize("counts", [[1], [1, 1, 1]])
def test_counts_of_other_lists_are_refused(ask, counts):
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_documents must hold a number for each list"):
        ask(["dress", "hat"], [[DRESS], [DRESS]], "rank_n", num_documents=counts)


@pytest.mark.parametrize(
    ("name", "value"),
    [("query", ["a", "b"]), ("brand", [["a", "b"]]), ("price", [[1.0], [2.0]])],
)
def test_inputs_of_different_shape_are_refused_by_name(reloaded, name, value):
    inputs = {"query": ["q"], "title": [["t"]], "brand": [["b"]], "price": [[1.0]], "rating": [[1.0]], name: value}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} and title"):
        reloaded.ask("serving_default", inputs)


def test_ranker_without_features_scores(text_ranker):
    class Lengths(tf.keras.layers.Layer):
        def call(self, rows, columns):
            return tf.cast(rows.row_lengths(), tf.float32) + tf.reduce_sum(columns, 1)

    ranker = TextRanker(text_ranker._packer, Lengths(), ["title", "brand"], [], 28)
    scores = ranker.rank_scores(
        tf.constant(["red"]), {"title": tf.constant([["", "a"]]), "brand": tf.constant([["", ""]])}, {}
    )
    assert scores.shape == (1, 2) and scores[0, 0] == np.float32(PADDING_SCORE) and scores[0, 1] > 4
