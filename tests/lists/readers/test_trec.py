"""TREC's files become lists of the judged documents or of a run's candidates."""

import json

import pytest

from tfr_listbert.lists.readers.trec import TRECReader
from tfr_listbert.schema import InputError

FILES = {
    "queries.tsv": '1\tred dress\n2\t5 "inch" nail\n',
    "qrels.txt": "1 0 d1 2\n1 0 d2 0\n2 0 d3 -2\n2\t0\td1\t1\n",
    "collection.tsv": 'd1\tRed "dress\tlong\nd2\tBlue\tshort\nd3\tNail\t\n',
    "run.txt": "1 Q0 d2 2 0.5 bm25\n1 Q0 d3 1 0.9 bm25\n2 Q0 d1 1 3.0 bm25\n",
}


@pytest.fixture
def build(tmp_path):
    def write(changes=None, collection="collection.tsv", run=None, **options) -> TRECReader:
        for name, text in {**FILES, **(changes or {})}.items():
            (tmp_path / name).write_text(text)
        return TRECReader(
            queries=str(tmp_path / "queries.tsv"),
            qrels=str(tmp_path / "qrels.txt"),
            collection=str(tmp_path / collection),
            run=run and str(tmp_path / run),
            **options,
        )

    return write


def test_judged_documents_make_the_lists(build, read):
    reading = read(build(), ["title", "body"])
    assert reading.labels == {"1": {"d1": 2.0, "d2": 0.0}, "2": {"d3": 0.0, "d1": 1.0}}
    lists = {one.query_id: one for one in reading.lists}
    assert lists["2"].query == '5 "inch" nail'
    assert lists["1"].documents[0].fields == {"title": 'Red "dress', "body": "long"}


def test_a_run_gives_candidates_in_its_order_and_unjudged_ones_get_0(build, read):
    reading = read(
        build(
            {"run.txt": FILES["run.txt"] + "3 Q0 d1 1 1 x\n", "queries.tsv": FILES["queries.tsv"] + "3\tnew\n"},
            run="run.txt",
        ),
        ["title", "body"],
    )
    lists = {one.query_id: one for one in reading.lists}
    assert [(d.document_id, d.position, d.label) for d in lists["1"].documents] == [("d3", 1, 0.0), ("d2", 2, 0.0)]
    assert [(d.document_id, d.position, d.label) for d in lists["2"].documents] == [("d1", 1, 1.0)]
    assert "3" not in lists
    assert reading.passed_over == {
        "candidates of queries without any judgement": 1,
        "judgements of documents that the run does not rank": 2,
    }


def test_a_collection_may_be_jsonl(build, read):
    rows = [{"_id": f"d{index}", "text": f"text {index}"} for index in (1, 2, 3)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    reader = build({"docs.jsonl": lines}, "docs.jsonl", columns={"document_id": "_id", "body": "text"})
    one = next(one for one in read(reader, ["body"]).lists if one.query_id == "1")
    assert [document.fields["body"] for document in one.documents] == ["text 1", "text 2"]


def test_what_does_not_fit_is_rejected(build, read):
    changes = {
        "queries.tsv": FILES["queries.tsv"] + "1\tagain\n3\n",
        "qrels.txt": FILES["qrels.txt"] + "9 0 d1 1\n1 0 d9 1\n1 0 d1 1\n1 0 d3 good\n1 0 d3\n",
    }
    assert read(build(changes), ["title", "body"]).rejected == [
        ("queries.tsv", 3, "the same query id again; the first row is kept", "1"),
        ("queries.tsv", 4, "line does not have 2 columns", "3"),
        ("qrels.txt", 5, "unknown query id", "9"),
        ("qrels.txt", 6, "unknown document", "d9"),
        ("qrels.txt", 7, "the same document in the list again; the first row is kept", "1 / d1"),
        ("qrels.txt", 8, "grade is not a number", "good"),
        ("qrels.txt", 9, "line does not have 4 columns", "1 0 d3"),
    ]


def test_a_missing_file_is_named(build, read):
    with pytest.raises(InputError, match="`data.options.run` must name a file"):
        read(build(run="nothing.txt"), ["title", "body"])
