"""A table of query, document and grade becomes lists by whatever columns it has."""

import duckdb
import pytest

from tfr_listbert.lists.readers.table import TableReader
from tfr_listbert.schema import InputError

ROWS = """id,search,sku,name,brand,price,grade,part
7,red dress,a,Red dress,Acme,10,2,train
7,red dress,b,Blue dress,,,0,train
8,red dress,a,Red dress,Acme,10,1,test
"""
COLUMNS = {"query": "search", "document_id": "sku", "label": "grade", "title": "name"}


@pytest.fixture
def judged(tmp_path):
    (tmp_path / "judged.csv").write_text(ROWS)
    return str(tmp_path / "judged.csv")


def test_columns_are_mapped_to_fields_and_features(judged, read):
    reader = TableReader(judged, columns={**COLUMNS, "query_id": "id"})
    lists = {one.query_id: one for one in read(reader, ["title", "brand"], ["price"]).lists}
    first, second = lists["7"].documents
    assert (lists["7"].query, lists["8"].query) == ("red dress", "red dress")
    assert (first.document_id, first.label, first.fields) == ("a", 2.0, {"title": "Red dress", "brand": "Acme"})
    assert (second.fields["brand"], first.features) == ("", {"price": 10.0})
    assert second.features["price"] != second.features["price"]
    assert (first.weight, first.position, lists["7"].split) == (1.0, 0, "")


def test_without_query_id_the_query_itself_makes_the_list(judged, read):
    reading = read(TableReader(judged, columns=COLUMNS))
    assert reading.labels == {"red dress": {"a": 2.0, "b": 0.0}}
    assert [row[1:3] for row in reading.rejected] == [(4, "the same document in the list again; the first row is kept")]


def test_a_split_column_assigns_the_split(judged, read):
    reading = read(TableReader(judged, columns={**COLUMNS, "split": "part"}), split_by="given")
    assert {(one.split, len(one.documents)) for one in reading.lists} == {("train", 2), ("test", 1)}


def test_an_unknown_split_is_rejected(judged, read):
    reading = read(TableReader(judged, columns={**COLUMNS, "split": "brand"}), split_by="given")
    reasons = {row[2] for row in reading.rejected}
    assert (len(reading.rejected), reasons) == (3, {"split is not train, validation or test"})


def test_a_query_id_stands_for_one_query(tmp_path, read):
    (tmp_path / "judged.csv").write_text(
        "query_id,query,document_id,title,label\n1,red,a,t,1\n1,blue,b,t,1\n1,red,c,t,0\n"
    )
    reading = read(TableReader(str(tmp_path / "judged.csv")))
    assert reading.rejected == [("judged.csv", 3, "query differs from the first one of its query id", "blue")]
    assert reading.labels == {"1": {"a": 1.0, "c": 0.0}}


def test_a_position_that_is_no_rank_is_rejected(tmp_path, read):
    (tmp_path / "judged.csv").write_text("query,document_id,title,label,position\nq,a,t,1,1e20\nq,b,t,0,1\n")
    reading = read(TableReader(str(tmp_path / "judged.csv")))
    assert reading.rejected == [("judged.csv", 2, "position is above 2,147,483,647", "1e+20")]


def test_documents_come_by_position_and_carry_weights(tmp_path, read):
    rows = "query\tdocument_id\ttitle\tlabel\tposition\tweight\nq\tc\tt\t0\t\t\nq\ta\tt\t1\t2\t0.5\nq\tb\tt\t0\t1\t\n"
    (tmp_path / "judged.tsv").write_text(rows)
    (one,) = read(TableReader(str(tmp_path / "judged.tsv"))).lists
    assert [(document.document_id, document.position, document.weight) for document in one.documents] == [
        ("b", 1, 1.0),
        ("a", 2, 0.5),
        ("c", 0, 1.0),
    ]


def test_bm25_may_be_missing_and_other_features_may_not(judged, read):
    (value,) = {
        str(d.features["bm25"])
        for one in read(TableReader(judged, columns=COLUMNS), features=["bm25"]).lists
        for d in one.documents
    }
    assert value == "nan"
    with pytest.raises(InputError, match="`data.options.columns.stock` must name a column"):
        read(TableReader(judged, columns=COLUMNS), features=["stock"])


def test_parquet_is_read_with_its_types(judged, read, tmp_path):
    duckdb.sql(f"COPY (SELECT * FROM '{judged}') TO '{tmp_path}/judged.parquet'")
    columns = {**COLUMNS, "query_id": "id"}
    lists = [
        read(TableReader(path, columns=columns), features=["price"]).lists
        for path in (judged, f"{tmp_path}/judged.parquet")
    ]
    assert str(lists[0]) == str(lists[1])


def test_a_table_without_sound_rows_is_refused(tmp_path, read):
    (tmp_path / "judged.csv").write_text("query,document_id,title,label\n")
    with pytest.raises(InputError, match="`data.options.path` has no rows"):
        read(TableReader(str(tmp_path / "judged.csv")))


def test_spellings_of_one_query_are_told(tmp_path, read):
    path = tmp_path / "judged.csv"
    path.write_text("query,document_id,title,label\nRed dress,a,t,1\nred  dress,b,t,0\nhat,c,t,1\n")
    (note,) = read(TableReader(str(path))).notes
    assert note.startswith("3 spellings (case, white space) of 2 queries, each a list of its own")
    assert "`data.options.fold_queries: true` makes those one" in note


SPELLED = """query,document_id,title,label,split
Red dress,a,t,1,train
red  dress,b,t,0,train
RED DRESS,a,t,2,train
red  dress,c,t,0,train
Red Dress,a,t,2,test
hat,c,t,1,train
"""


def test_spellings_are_one_list_where_asked_written_as_most_rows_of_the_split_have_it(tmp_path, read):
    path = tmp_path / "judged.csv"
    path.write_text(SPELLED)
    reading = read(TableReader(str(path), fold_queries=True), split_by="given")
    found = {
        (one.split, one.query_id, one.query, *(document.document_id for document in one.documents))
        for one in reading.lists
    }
    assert found == {
        ("train", "red  dress", "red  dress", "a", "b", "c"),
        ("test", "Red Dress", "Red Dress", "a"),
        ("train", "hat", "hat", "c"),
    }
    again = "the same document in the list again; the first row is kept"
    assert reading.rejected == [("judged.csv", 4, again, "train / red dress / a")]
    assert reading.notes == ["4 spellings (case, white space) of 3 queries"]


def test_a_query_id_may_have_several_spellings_and_needs_no_folding(tmp_path, read):
    path = tmp_path / "judged.csv"
    path.write_text("query_id,query,document_id,title,label\n1,Red,a,t,1\n1, red,b,t,1\n1,blue,c,t,0\n1,RED,d,t,0\n")
    reading = read(TableReader(str(path)))
    assert reading.rejected == [("judged.csv", 4, "query differs from the first one of its query id", "blue")]
    assert reading.labels == {"1": {"a": 1.0, "b": 1.0, "d": 0.0}}
    assert reading.lists[0].query == "Red"
    with pytest.raises(InputError, match="`data.options.fold_queries` makes lists .*'query_id' for that"):
        read(TableReader(str(path), fold_queries=True))
