"""Home Depot's file becomes lists with labels from 0 to 2 and every fifth query, sorted, in the test split."""

import pytest

from tfr_listbert.lists.readers.homedepot import HomeDepotReader
from tfr_listbert.schema import InputError

HEADER = '"id","product_uid","product_title","search_term","relevance"\n'


@pytest.fixture
def path(tmp_path):
    terms = ["b", "Z", "a", "ä", "c", "10 in. bit"]  # sorted by code point: "10 in. bit" Z a b c ä
    rows = [f'{index},{index},"Nail 30° ""big""","{term}",{1 + index / 3:.2f}\n' for index, term in enumerate(terms)]
    (tmp_path / "train.csv").write_text(HEADER + "".join(rows), encoding="latin-1")
    return tmp_path / "train.csv"


def test_every_fifth_term_is_tested_and_labels_start_at_zero(path, read):
    reading = read(HomeDepotReader(str(path)), split_by="given")
    assert {one.query: one.split for one in reading.lists} == {
        "10 in. bit": "test",
        "Z": "train",
        "a": "train",
        "b": "train",
        "c": "train",
        "ä": "test",
    }
    labels = {one.query: one.documents[0].label for one in reading.lists}
    assert labels == pytest.approx({"b": 0.0, "Z": 0.33, "a": 0.67, "ä": 1.0, "c": 1.33, "10 in. bit": 1.67})


def test_latin_1_and_utf_8_are_told_apart(path, read):
    latin = read(HomeDepotReader(str(path)))
    path.write_text(path.read_text(encoding="latin-1"), encoding="utf-8")
    utf = read(HomeDepotReader(str(path)))
    assert latin.lists == utf.lists
    assert latin.lists[0].documents[0].fields == {"title": 'Nail 30° "big"'}


def test_a_relevance_below_one_is_rejected(path, read):
    path.write_text(HEADER + "1,1,t,q,0.5\n2,2,t,q,3\n3,3,t,q,\n")
    reading = read(HomeDepotReader(str(path)))
    assert [row[1:] for row in reading.rejected] == [(2, "relevance is below 1", "0.5"), (4, "no relevance", "")]
    assert reading.labels == {"q": {"2": 2.0}}


def test_another_field_than_the_title_is_answered(path, read):
    with pytest.raises(
        InputError,
        match="`data.fields` or `data.features` names 'brand', which this data set does not have. Known: title",
    ):
        read(HomeDepotReader(str(path)), fields=["title", "brand"])


def test_a_split_by_time_is_refused(path, read):
    with pytest.raises(InputError, match="`data.split.by` must be query or given, .*got 'time'"):
        read(HomeDepotReader(str(path)), split_by="time")
