import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.encoders.match_marks import LetterOverlap, mark_matches
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=24)
PIECES = [
    "",
    "",
    "",
    "",
    " red",
    " air",
    "conditioner",
    " con",
    "ditioner",
    " dress",
    "es",
    " gal",
    "vanised",
    " galvanized",
]
RED, AIR, CONDITIONER, CON, DITIONER, DRESS, ES, GAL, VANISED, GALVANIZED = range(4, 14)


def measure(query, document):
    """The shares and parts of a row, and which places query and document have in it."""
    row = [0, *query, 2, 2, *document, 2]
    measured = LetterOverlap(PIECES, eos_id=2, pad_id=1).measure(tf.constant([row])).numpy()
    assert measured.shape == (len(row), 4)
    document_start = len(query) + 3
    places = slice(1, 1 + len(query)), slice(document_start, document_start + len(document))
    return measured, *places


def test_tokens_that_query_and_document_share_are_marked():
    rows = [[0, 5, 6, 2, 2, 6, 7, 6, 2, 1], [0, 5, 5, 2, 1, 1, 1, 1, 1, 1]]  # the second is a query alone
    marks = mark_matches(tf.constant(rows), eos_id=2, pad_id=1).numpy().reshape(2, 10, 2)
    np.testing.assert_array_equal(np.argwhere(marks), [[0, 2, 0], [0, 5, 1], [0, 7, 1]])


@pytest.mark.parametrize(
    ("query", "document", "of_query", "of_document"),
    [
        ([RED], [RED, DRESS], [1], [1, 0]),
        ([RED], [DRESS, RED], [1], [0, 1]),  # wherever it stands
        ([CON, DITIONER], [AIR, CONDITIONER], [2 / 3, 1], [0, 10 / 11]),  # all but " co", which is "rco" there
        ([DRESS], [DRESS, ES], [4 / 5], [1, 0]),  # "ss " is not "sse"
        ([GAL, VANISED], [GALVANIZED], [1, 4 / 7], [7 / 10]),  # all but "nis", "ise" and "sed"
        ([RED], [], [0], []),
    ],
)
def test_letters_that_query_and_document_share_are_counted(query, document, of_query, of_document):
    measured, own, other = measure(query, document)
    np.testing.assert_allclose(measured[own, 0], of_query, atol=1e-6)
    np.testing.assert_allclose(measured[other, 1], of_document, atol=1e-6)
    is_query, is_document = np.zeros(len(measured)), np.zeros(len(measured))
    is_query[own], is_document[other] = bool(document), 1  # a text alone, as in pre-training, is no query's
    np.testing.assert_array_equal(measured[:, 2:], np.stack([is_query, is_document], axis=1))
    assert not measured[is_query == 0, 0].any() and not measured[is_document == 0, 1].any()


def test_padding_and_other_rows_change_no_share():
    overlap = LetterOverlap(PIECES, eos_id=2, pad_id=1)
    rows = [[0, RED, 2, 2, DRESS, ES, 2, 1], [0, AIR, CONDITIONER, 2, 2, CON, DITIONER, 2]]
    together = overlap.measure(tf.constant(rows)).numpy().reshape(2, 8, 4)
    np.testing.assert_array_equal(together[0, :7], overlap.measure(tf.constant([rows[0][:7]])))
    np.testing.assert_array_equal(together[0, 7], [0, 0, 0, 0])
    np.testing.assert_array_equal(together[1], overlap.measure(tf.constant(rows[1:])))
    assert overlap.measure(tf.zeros([0, 5], tf.int32)).shape == (0, 4)


def test_pieces_longer_than_the_table_share_what_it_holds():
    overlap = LetterOverlap(
        ["", "", "", " abcdefghijklmnopqrstuvwxyz", " abcdefghijklmno", "pqrst"], eos_id=2, pad_id=1
    )
    measured = overlap.measure(tf.constant([[0, 3, 2, 2, 4, 5, 2]])).numpy()
    np.testing.assert_allclose(measured[[1, 4, 5], [0, 1, 1]], [1, 1, 0], atol=1e-6)


def test_an_encoder_with_letter_marks_begins_as_one_without_and_keeps_what_it_learnt(tmp_path):
    row = tf.constant([[0, GAL, VANISED, 2, 2, GALVANIZED, 2]])
    plain = RobertaEncoder(len(PIECES), SHAPE)
    before = plain(row)
    path = tf.train.Checkpoint(encoder=plain).write(str(tmp_path / "plain"))

    def restore(path):
        encoder = RobertaEncoder(len(PIECES), SHAPE)
        tf.train.Checkpoint(encoder=encoder).restore(path).expect_partial()
        encoder.mark_letters(PIECES)
        return encoder

    marked = restore(path)
    np.testing.assert_array_equal(marked(row), before)
    marked.letter_embedding.assign(tf.random.stateless_normal([4, SHAPE.width], (1, 2)))
    after = marked(row)
    assert np.abs(after - before).max() > 0.1
    again = restore(tf.train.Checkpoint(encoder=marked).write(str(tmp_path / "marked")))
    np.testing.assert_array_equal(again(row), after)
    assert "letter_embedding:0" in [weight.name for weight in again.trainable_variables]
