"""Grades are read from any table, and a row that holds none is named."""

import json

import pytest

from tfr_listbert.lists.grades import read_grades
from tfr_listbert.schema import InputError


def read(path):
    return read_grades(path, "evaluate.judgements")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("grades.csv", "query,document_id,grade\nRed  Dress,a,3\nred dress, b ,1.5\nred dress,a,3\n"),
        ("grades.csv", "document_id;editor;grade;query\na;x;3;Red Dress\nb;y;1.5;red dress\n"),
        ("grades.tsv", "query\tdocument_id\tgrade\nred dress\ta\t3\nRED dress\tb\t1.5\n"),
        (
            "grades.jsonl",
            "".join(
                json.dumps({"query": "red dress", "document_id": name, "grade": grade}) + "\n"
                for name, grade in (("a", 3), ("b", 1.5))
            ),
        ),
    ],
)
def test_grades_are_read_from_tables_of_all_kinds(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read(tmp_path / name) == {("red dress", "a"): 3.0, ("red dress", "b"): 1.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "query,document,grade\nq,a,1\n",
            "grades.csv has no column 'document_id'; name the column so. Did you mean 'document'",
        ),
        ("query;document_id;grade\nq;a;4,5\n", r"grade has a comma \(1\). Write decimals with a point."),
        ("query,document_id,grade\nq,a,1\nq,b,good\n", "grades.csv line 3: grade is not a number: 'good'"),
        ("query,document_id,grade\nq,a,-1\n", "grades.csv line 2: grade is negative: '-1'"),
        ("query,document_id,grade\nq,a,\n", "grades.csv line 2: no grade"),
        ("query,document_id,grade\n,a,1\n", "grades.csv line 2: no query"),
        ("grade,query,document_id\n1,q\n", "grades.csv line 2: row has fewer columns than the header"),
        ("query,document_id,grade\nbl\udcff,a,1\n", "grades.csv line 2: broken encoding"),
        ("query,document_id,grade\nRed dress,a,3\nred  dress,a ,0\n", "got 0 after 3 for 'red dress' and 'a'"),
    ],
)
def test_bad_grades_are_named(tmp_path, text, message):
    path = tmp_path / "grades.csv"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match=message):
        read(path)
