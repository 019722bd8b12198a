"""Every format gives the same rows, whatever its dialect, and what cannot be read is set apart."""

import gzip
import json
import re

import duckdb
import pytest

from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.formats import PLAIN_CSV, CSVFormat, CSVSource, LinesSource
from tfr_listbert.lists.tables.source import open_source
from tfr_listbert.schema import InputError

ROWS = [("grün", "p1", "3"), ('12" pipe, long', "p2", None), ("two\nlines", "p3", "0")]
COLUMNS = {"query": "query", "document_id": "product", "clicks": "clicks"}


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "scratch") as opened:
        yield opened


def scan(database, pattern, columns=COLUMNS, csv_format=PLAIN_CSV) -> list[tuple]:
    source = open_source(str(pattern), "data.options.log", csv_format)
    names = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in columns)
    return list(database.read_rows(f"SELECT {names} FROM ({source.scan(columns)}) ORDER BY _file, _row"))


@pytest.mark.parametrize(
    ("name", "text", "csv_format"),
    [
        ("log.csv", 'query,product,clicks\ngrün,p1,3\n"12"" pipe, long",p2,\n"two\nlines",p3,0\n', {}),
        ("log.csv", 'clicks;query;product\r\n3;grün;p1\r\n;12" pipe, long;p2\r\n0;"two\nlines";p3\r\n', {}),
        ("log.csv", '\ufeffquery,product,clicks,more\ngrün,p1,3,\n"12"" pipe, long",p2,,x\n"two\nlines",p3,0,x', {}),
        ("log.tsv", 'query\tproduct\tclicks\ngrün\tp1\t3\n12" pipe, long\tp2\t\n"two\nlines"\tp3\t0\n', {}),
        ("log.txt", "query|product|clicks\ngrün|p1|3\n12\" pipe, long|p2|\n'two\nlines'|p3|0\n", {"quote": "'"}),
        (
            "log.csv",
            'query,product,clicks\ngrün,p1,3\n"12"" pipe, long",p2,\n"two\nlines",p3,0\n',
            {"encoding": "latin-1"},
        ),
        (
            "log.csv",
            'query,product,clicks\ngrün,p1,3\n"12"" pipe, long",p2,\n"two\nlines",p3,0\n',
            {"encoding": "utf-16"},
        ),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_csv_of_any_dialect_gives_the_same_rows(tmp_path, database, name, text, csv_format, ending):
    content = text.encode(csv_format.get("encoding", "utf-8"))
    (tmp_path / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
    assert scan(database, tmp_path / f"{name}{ending}", csv_format=CSVFormat(**csv_format)) == ROWS


NESTED = {"query": "event.query.text", "document_id": "event.product", "clicks": "clicks"}


def write_jsonl(path) -> None:
    events = [
        {"event": {"query": {"text": query}, "product": product}, "clicks": clicks} for query, product, clicks in ROWS
    ]
    events[0]["clicks"] = 3
    del events[1]["clicks"]
    path.write_text("\n".join([json.dumps(events[0]), "", *map(json.dumps, events[1:])]), encoding="utf-8")


def test_jsonl_is_reached_by_dotted_paths(tmp_path, database):
    write_jsonl(tmp_path / "log.jsonl")
    assert scan(database, tmp_path / "log.jsonl", NESTED) == ROWS


def test_parquet_is_reached_by_dotted_paths(tmp_path, database):
    rows = ", ".join(f"({duckdb_text(query)}, '{product}', {clicks or 'NULL'})" for query, product, clicks in ROWS)
    duckdb.sql(
        "COPY (SELECT {'query': {'text': query}, 'product': product} AS event, clicks "
        f"FROM (VALUES {rows}) AS t(query, product, clicks)) TO '{tmp_path}/log.parquet'"
    )
    source = open_source(f"{tmp_path}/log.parquet", "data.options.log")
    columns = ["event.query.text", "event.product", "clicks"]
    assert source.list_columns(database, f"{tmp_path}/log.parquet") == columns
    assert scan(database, tmp_path / "log.parquet", NESTED) == ROWS


def test_flattened_keys_of_jsonl_are_read_by_their_dotted_names(tmp_path, database):
    lines = [{"event.query.text": query, "event.product": product, "clicks": clicks} for query, product, clicks in ROWS]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    source = open_source(f"{tmp_path}/log.jsonl", "data.options.log")
    assert all(source.find_columns(database, NESTED.values()).values())
    assert scan(database, tmp_path / "log.jsonl", NESTED) == ROWS


def test_a_list_is_read_as_one_text_and_a_whole_number_without_decimals(tmp_path, database):
    lines = [
        '{"id": 1001.0, "title": ["red", "dress"], "tags": []}',
        '{"id": "7.0", "title": "[new] coat", "tags": null}',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    duckdb.sql(f"COPY (SELECT '1001' AS id, ['red', 'dress'] AS title) TO '{tmp_path}/log.parquet'")
    names = {"document_id": "id", "title": "title", "tags": "tags"}
    assert scan(database, tmp_path / "log.jsonl", names) == [("1001", "red dress", ""), ("7.0", "[new] coat", None)]
    source = open_source(f"{tmp_path}/log.parquet", "data.options.log")
    source.find_columns(database, ["id", "title"])
    assert list(database.read_rows(f"SELECT title FROM ({source.scan({'title': 'title'})})")) == [("red dress",)]


def test_a_parquet_file_has_its_own_columns_and_others_of_its_folders(tmp_path, database):
    folder = tmp_path / "day=2024-03-04" / "brand=other"
    folder.mkdir(parents=True)
    duckdb.sql(f"COPY (SELECT 'Acme' AS brand) TO '{folder}/log.parquet'")
    source = open_source(f"{tmp_path}/*/*/*.parquet", "data.options.log")
    assert all(source.find_columns(database, ["brand", "day"]).values())
    for column, value in {"brand": "Acme", "day": "2024-03-04"}.items():
        rows = database.read_rows(f"SELECT CAST({column} AS VARCHAR) FROM ({source.scan({column: column})})")
        assert list(rows) == [(value,)]


def test_ids_that_are_numbers_of_two_types_are_refused(tmp_path, database):
    for name, kind in (("a", "BIGINT"), ("b", "DOUBLE")):
        duckdb.sql(f"COPY (SELECT 9007199254740993::{kind} AS id) TO '{tmp_path}/{name}.parquet'")
    source = open_source(f"{tmp_path}/*.parquet", "data.options.log")
    source.find_columns(database, ["id"])
    with pytest.raises(InputError, match=r"`data.options.log`: the ids of 'id' have several types"):
        source.scan({"document_id": "id"})


def test_parquet_may_hold_text_as_bytes_and_a_column_called_filename(tmp_path, database):
    duckdb.sql(f"COPY (SELECT encode('grün') AS query, 'a.jpg' AS filename) TO '{tmp_path}/log.parquet'")
    found = scan(database, tmp_path / "log.parquet", {"query": "query", "image": "filename"})
    assert found == [("grün", "a.jpg")]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_name_that_looks_like_a_pattern_is_one_file(tmp_path, database, ending):
    for name, query in (("a1", "one"), ("a[1]", "two")):
        path = tmp_path / f"{name}.{ending}"
        if ending == "parquet":
            duckdb.sql(f"SELECT '{query}' AS query").write_parquet(str(tmp_path / "part"))
            (tmp_path / "part").rename(path)
        else:
            path.write_text(f"query\n{query}\n" if ending == "csv" else json.dumps({"query": query}))
    assert sorted(scan(database, tmp_path / f"*.{ending}", {"query": "query"})) == [("one",), ("two",)]


def test_a_csv_file_that_starts_with_a_blank_line_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("\nquery,product\nred,p1\n")
    with pytest.raises(InputError, match=r"log.csv: its first line is blank; the header"):
        open_source(f"{tmp_path}/log.csv", "data.options.log")


def duckdb_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_a_key_that_first_lines_lack_is_found_further_on(tmp_path, database):
    lines = ['{"query": "red"}'] * 1500 + ['{"query": "red", "bought": {"count": 1}}']
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    source = open_source(f"{tmp_path}/log.jsonl", "data.options.log")
    found = source.find_columns(database, ["query", "bought.count", "bought.price"])
    assert found == {"query": {*source.files}, "bought.count": {*source.files}, "bought.price": set()}


def test_files_of_one_glob_may_order_their_columns_differently(tmp_path, database):
    (tmp_path / "a.csv").write_text("query,product,clicks\nred,p1,1\n")
    (tmp_path / "b.csv").write_text("clicks;product;extra;query\n2;p2;;blue\n")
    (tmp_path / "c.csv").write_text("query,product,clicks\ngreen,p3,3\n")
    assert scan(database, f"{tmp_path}/*.csv") == [("red", "p1", "1"), ("blue", "p2", "2"), ("green", "p3", "3")]
    source = open_source(f"{tmp_path}/*.csv", "data.options.log")
    assert source.find_columns(database, ["clicks", "extra"]) == {"clicks": {*source.files}, "extra": {source.files[1]}}


def test_a_thousand_files_are_one_log(tmp_path, database):
    for index in range(1000):
        (tmp_path / f"part-{index:04d}.csv").write_text(f"query,product,clicks\nq,p{index},1\n")
    assert [row[1] for row in scan(database, f"{tmp_path}/part-*.csv")] == [f"p{index}" for index in range(1000)]


def test_lines_without_header_are_split_by_a_pattern(tmp_path, database):
    path = tmp_path / "qrels.txt"
    path.write_text('1 0  d"1\t2\n1 0 d2\n\n2\t0\td3\t-1\n')
    source = LinesSource("data.options.qrels", [str(path)], ("query_id", "iteration", "document_id", "grade"), r"\s+")
    rows = database.read_rows(source.scan({"grade": "grade", "document_id": "document_id"}))
    assert [row[2:] for row in rows] == [(None, "2", 'd"1'), ("1 0 d2", None, "d2"), (None, "-1", "d3")]


@pytest.mark.parametrize(("name", "content"), [("log.csv.gz", b"a,b\n1,2\n"), ("log.parquet", b"a,b\n1,2\n" * 9)])
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path, database, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        source = open_source(f"{tmp_path}/{name}", "data.options.log")
        source.list_columns(database, source.files[0])


def test_a_cut_gzip_file_is_named(tmp_path, database):
    rows = "query,product,clicks\n" + "".join(f"q{index},p{index * 7919},0\n" for index in range(20_000))
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(rows.encode())[:-5000])
    with pytest.raises(InputError, match="log.csv.gz"):
        scan(database, tmp_path / "log.csv.gz")


def test_mixed_line_ends_are_answered_with_what_mends_them(tmp_path, database):
    (tmp_path / "log.csv").write_bytes(b"query,product,clicks\r\nred,p1,1\r\nred,p2,1\n")
    with pytest.raises(InputError, match="log.csv mixes line ends .* `dos2unix "):
        scan(database, tmp_path / "log.csv")


def test_a_header_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "log.csv").write_bytes("größe,query\n1,red\n".encode("latin-1"))
    with pytest.raises(InputError, match="header is not in the encoding that `csv.encoding` says"):
        CSVSource("data.options.log", [f"{tmp_path}/log.csv"], CSVFormat())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoding": "cp1252"}, "`csv.encoding` must be utf-8, latin-1 or utf-16, got 'cp1252'"),
        ({"delimiter": "||"}, "`csv.delimiter` must be one character, or empty, got '||'"),
        ({"quote": "''"}, "`csv.quote` must be one character, or empty"),
    ],
)
def test_a_dialect_that_cannot_be_read_is_refused(values, message):
    with pytest.raises(InputError, match=re.escape(message)):
        CSVFormat(**values)
