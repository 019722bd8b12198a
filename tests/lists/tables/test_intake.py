"""A row that cannot be used is named by its file, its line and the first rule that it breaks."""

import gzip

import pytest

from tfr_listbert.lists.readers.table import TableReader
from tfr_listbert.schema import InputError

HEADER = b"query,document_id,label,title\n"


def test_every_kind_of_broken_row_is_named_with_its_line(tmp_path, read):
    rows = [
        b"red,p1,1,a",  # line 2
        b"bl\xffe,p2,2,a",
        b'multi,p3,3,"a\nb"',  # one row of two lines
        b"short,p4",  # row 5
        b"long,p5,1,a,9",
        b'"quo"te,p6,1,a',
        b"big,p7,1," + b"x" * 10_000_000,
        b" ,p8,1,a",  # row 9
        b"red,,1,a",
        b"red,p9,,a",
        b"red,p9,good,a",
        b"red,p9,-1,a",  # row 13
        b"red,p9,nan,a",
        b"red,p9,1e39,a",
        b"red,p1,2,other",
        b"red,p9,2,a",  # row 17
        b"red , p9 ,3,a",
    ]
    (tmp_path / "judged.csv.gz").write_bytes(gzip.compress(HEADER + b"\n".join(rows)))
    reading = read(TableReader(str(tmp_path / "judged.csv.gz")))
    encoding = "broken encoding: text is not UTF-8, or not what `csv.encoding` says"
    again = "the same document in the list again; the first row is kept"
    assert [(line, reason) for _, line, reason, _ in reading.rejected] == [
        (3, encoding),
        (5, "row has fewer columns than the header"),
        (6, "row has more columns than the header"),
        (7, "quotes around a text are not closed or not doubled"),
        (8, "row is longer than 1,000,000 bytes"),
        (9, "no query"),
        (10, "no document id"),
        (11, "no label"),
        (12, "label is not a number"),
        (13, "label is negative"),
        (14, "no label"),
        (15, "label is not a number"),
        (16, again),
        (18, again),
    ]
    assert reading.rejected[8] == ("judged.csv.gz", 12, "label is not a number", "good")
    assert reading.rejected[-1][3] == "red / p9"
    assert max(len(row[3]) for row in reading.rejected) <= 200
    assert reading.labels == {"red": {"p1": 1.0, "p9": 2.0}, "multi": {"p3": 3.0}}
    assert reading.inputs["data.options.path"]["rows"] == 17
    assert reading.inputs["data.options.path"]["rejected"] == 14


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("a.csv", 'query,document_id,label,title\nred,a,"4,5",t\n', "Where the comma .*: `csv.decimal: ','`."),
        (
            "a.jsonl",
            '{"query": "red", "document_id": "a", "label": "4,5", "title": "t"}\n',
            "The value must be a number of JSON",
        ),
    ],
)
def test_a_number_with_a_comma_is_answered_with_what_helps_in_such_files(tmp_path, read, name, text, hint):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"label has a comma \(1\). {hint}") as error:
        read(TableReader(str(tmp_path / name)), max_rate=0.1)
    assert ("csv.decimal" in str(error.value)) == name.endswith(".csv")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_every_row_that_a_stray_quote_swallows_is_named(tmp_path, read, line_end):
    rows = [
        b"red,p1,1,a",  # line 2
        b'red,p2,1,"17 inch',
        b"red,p3,1,a",
        b'red,p4,1,"a"',  # line 5
        b"red,p5,x,a",
        b'"red,p6,1,a',
        b'red,p7,1,"a"',
        b"red,p8,1,a",  # line 9
        b"red,p9,1",
        b'"red, again",p9,1,a',
    ]
    (tmp_path / "judged.csv").write_bytes(line_end.join([HEADER.strip(), *rows, b""]))
    reading = read(TableReader(str(tmp_path / "judged.csv")))
    opening, inside = (
        "quotes around a text are not closed or not doubled",
        "row is inside quotes that a row before it does not close",
    )
    assert [row[1:] for row in reading.rejected] == [
        (3, opening, 'red,p2,1,"17 inch'),
        (4, inside, "red,p3,1,a"),
        (5, inside, 'red,p4,1,"a"'),
        (6, "label is not a number", "x"),
        (7, opening, '"red,p6,1,a'),
        (8, inside, 'red,p7,1,"a"'),
        (10, "row has fewer columns than the header", "red,p9,1"),
    ]
    assert reading.labels == {"red": {"p1": 1.0, "p8": 1.0}, "red, again": {"p9": 1.0}}
    assert (reading.inputs["data.options.path"]["rows"], reading.inputs["data.options.path"]["rejected"]) == (10, 7)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_rows_that_a_scan_in_parts_would_lose_stop_the_preparation(tmp_path, read, suffix):
    rows = [b"red shoes %06d,p%06d,1,a title of words\n" % (number, number) for number in range(250_000)]
    place = (8_000_000 - len(HEADER)) // len(rows[0]) + 1  # DuckDB cuts files at 8,000,000 bytes
    rows[place] = b"red,p1,1,a,9\n"  # behind it all is lost
    content = HEADER + b"".join(rows)
    (tmp_path / f"judged.{suffix}").write_bytes(gzip.compress(content, 1) if suffix.endswith("gz") else content)
    with pytest.raises(InputError, match="has 249,999 rows that can be read, of which a scan in parts gave"):
        read(TableReader(str(tmp_path / f"judged.{suffix}")))


def test_a_query_of_several_lines_is_taken_for_a_quote_that_was_not_closed(tmp_path, read):
    rows = [b'"red dress,p1,1,a', *[b"hat %d,p%d,1,a" % (n, n) for n in range(3)], b'tv 55",p9,1,b', b"shoe,p5,1,a"]
    (tmp_path / "judged.csv").write_bytes(HEADER + b"\n".join(rows))
    reading = read(TableReader(str(tmp_path / "judged.csv")))
    assert reading.labels == {"shoe": {"p5": 1.0}}
    assert [reason for _, _, reason, _ in reading.rejected] == [
        "query holds a line break; is a quote before it not closed, or not doubled?"
    ]


def test_a_quote_that_nothing_closes_stops_the_preparation(tmp_path, read):
    rows = b"".join(b"red,p%d,1,a\n" % number for number in range(100_000))
    (tmp_path / "judged.csv").write_bytes(HEADER + b'red,p,1,"17 inch\n' + rows)
    with pytest.raises(InputError, match="judged.csv line 2: a quote is not closed within 1,000,000 bytes"):
        read(TableReader(str(tmp_path / "judged.csv")))


def test_lines_are_counted_within_each_file(tmp_path, read):
    for name, rows in (
        ("a", b"q,p1,1,t\nq,p2,x,t\n"),
        ("b", b"q,\xff,1,t\nq,p3,1,t\nq,p4,y,t\n"),
        ("c", b"q,p5,z,t\n"),
    ):
        (tmp_path / f"{name}.csv").write_bytes(HEADER + rows)
    reading = read(TableReader(str(tmp_path / "?.csv")))
    assert [row[:2] for row in reading.rejected] == [("a.csv", 3), ("b.csv", 2), ("b.csv", 4), ("c.csv", 2)]
    assert reading.labels == {"q": {"p1": 1.0, "p3": 1.0}}


def test_broken_json_lines_are_named(tmp_path, read):
    lines = [
        b'{"query": "red", "document_id": 7, "label": 2.0, "title": "caf\\u00e9"}',
        b"{broken",
        b'{"query": "bl\xff", "document_id": 1, "label": 1, "title": ""}',
        b"",
        b'{"query": "lone \\ud800", "document_id": 1, "label": 1, "title": ""}',
        b'{"query": {"text": "x"}, "document_id": 8, "label": true, "title": null}',
        b'{"query": null, "document_id": 9, "label": 1, "title": ""}',
        b'{"query": "red", "document_id": 9, "label": "x", "title": ""}',
        b"[1, 2]",
    ]
    (tmp_path / "judged.jsonl").write_bytes(b"\n".join(lines))
    reading = read(TableReader(str(tmp_path / "judged.jsonl")))
    assert [(line, reason.split(":")[0]) for _, line, reason, _ in reading.rejected] == [
        (2, "line is not valid JSON"),
        (3, "broken encoding"),
        (5, "line is not valid JSON"),
        (7, "no query"),
        (8, "label is not a number"),
        (9, "no query"),
    ]
    assert reading.labels == {"red": {"7": 2.0}, '{"text":"x"}': {"8": 1.0}}
    assert {document.fields["title"] for one in reading.lists for document in one.documents} == {"café", ""}


@pytest.mark.parametrize(("value", "label"), [("1e2", 100.0), (" 3 ", 3.0), ("true", 1.0), ("0.5", 0.5)])
def test_numbers_are_read_as_people_write_them(tmp_path, read, value, label):
    (tmp_path / "judged.csv").write_bytes(HEADER + f"q,p,{value},t\n".encode())
    assert read(TableReader(str(tmp_path / "judged.csv"))).labels == {"q": {"p": label}}
