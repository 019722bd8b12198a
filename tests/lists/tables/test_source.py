"""Files are found by a glob and known by their ending; columns that are not there are answered with the nearest."""

import codecs
import gzip

import pytest

from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.lists.tables.source import find_files, map_columns, map_known_columns, open_source
from tfr_listbert.schema import InputError


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "scratch") as opened:
        yield opened


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("query,product,clicks\nred,p1,0\n")
    return open_source(str(path), "data.options.log")


def test_a_glob_finds_sorted_files_and_passes_over_empty_ones(tmp_path):
    for name, text in (("b.csv", "x"), ("a.csv", "x"), ("c.csv", ""), ("d.txt", "x")):
        (tmp_path / name).write_text(text)
    assert find_files(f"{tmp_path}/*.csv", "log") == [f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (None, "", r"`data.options.log` must name a file, or files by a glob .* has none"),
        ("log.csv", "", "log.csv is empty"),
        ("log.csv", "\n\n", "log.csv is empty; a CSV file starts with a header"),
        ("log.dat", "x", "must name files of one format, by their ending .csv.*; got '[^ ]*'.$"),
        ("log.XLSX", "x", "log.XLSX, an Excel workbook, which is not read: save it in Excel as CSV UTF-8"),
        ("log.csv", "sep=;\nquery;clicks\n", "its first line, sep=;, is a note of Excel's to itself; remove that line"),
        ("log.csv", "query,clicks,query\n", "the column 'query' twice"),
        ("log.csv", '"query,clicks\n' + "x" * 200_000, "header of column names cannot be read"),
    ],
)
def test_files_that_cannot_serve_are_named(tmp_path, name, text, message):
    if name:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        open_source(f"{tmp_path}/log.*", "data.options.log")


def test_files_of_two_formats_are_refused(tmp_path):
    for name in ("log.csv", "log.jsonl"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="of one format"):
        open_source(f"{tmp_path}/*", "data.options.log")


def test_a_name_stands_for_the_column_of_that_name_unless_mapped(log, database):
    wanted = {"query": True, "document_id": True, "position": False}
    columns = map_columns(log, database, wanted, {"document_id": "product"}, "data.options.columns")
    assert columns == {"query": "query", "document_id": "product"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("column", "is_required", "mapping"),
    [("clicks", True, {}), ("position", False, {}), ("rank", False, {"position": "rank"})],
)
def test_a_column_that_only_some_files_have_is_answered_with_a_file_without_it(
    tmp_path, database, form, column, is_required, mapping
):
    for name, columns in (("a", f"query,{column}"), ("b", "query,title")):
        (tmp_path / f"{name}.csv").write_text(f"{columns}\nred,1\n")
        database.run(f"COPY (FROM read_csv('{tmp_path}/{name}.csv')) TO '{tmp_path}/{name}.parquet'")
    source = open_source(f"{tmp_path}/*.{form}", "data.options.log")
    wanted = {"query": True, "clicks" if is_required else "position": is_required}
    message = (
        f"must name a column of .*b.{form}, which has no column '{column}' .1 of the 2 files .*Known: query, title"
    )
    with pytest.raises(InputError, match=message):
        map_columns(source, database, wanted, mapping, "data.options.columns")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "`data.options.columns.document_id` must name a column of .*log.csv, which has no column 'document_id'"),
        ({"document_id": "prodct"}, "no column 'prodct'. Did you mean 'product'\\? Known: clicks, product, query."),
        ({"document_id": "product", "position": "rank"}, "columns.position` must name a column .* 'rank'"),
        ({"documnet_id": "product"}, "`data.options.columns.documnet_id` is not read .*mean 'document_id'"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_those_that_are(log, database, mapping, message):
    wanted = {"query": True, "document_id": True, "position": False}
    with pytest.raises(InputError, match=message):
        map_columns(log, database, wanted, mapping, "data.options.columns")


def test_a_data_set_says_which_fields_it_has(log, database):
    known = {"query": "query", "title": "product"}
    assert map_known_columns(log, database, known, ["query"], {"title": True, "bm25": False}) == known
    with pytest.raises(InputError, match="`data.fields` or `data.features` names 'titel'.* Did you mean 'title'"):
        map_known_columns(log, database, known, ["query"], {"titel": True})


def test_a_file_that_is_not_the_data_sets_own_is_refused(log, database):
    with pytest.raises(InputError, match="a column 'search_term'; .*log.csv has query, product, clicks"):
        map_known_columns(log, database, {"query": "search_term"}, ["query"], {})


def test_an_empty_file_among_others_is_told(tmp_path, capsys):
    for name, text in (("a.csv", "query\nred\n"), ("b.csv", ""), ("_SUCCESS", "")):
        (tmp_path / name).write_text(text)
    assert find_files(f"{tmp_path}/*", "data.options.log") == [f"{tmp_path}/a.csv"]
    assert capsys.readouterr().out == f"`data.options.log`: {tmp_path}/b.csv is empty, and passed over.\n"


@pytest.mark.parametrize(
    ("name", "content", "encoding", "message"),
    [
        ("log.csv", "query\nMütze\n".encode(), "latin-1", "is UTF-8, and `csv.encoding` says latin-1"),
        (
            "log.csv",
            "query\nMütze\n".encode("utf-16-le"),
            "utf-16",
            "is UTF-16LE, which is not read; convert it: iconv",
        ),
        ("log.csv.gz", gzip.compress("query\nMütze\n".encode("utf-16-be")), "latin-1", "is UTF-16BE, which"),
        ("log.csv", codecs.BOM_UTF16_BE + "query\nMütze\n".encode("utf-16-be"), "utf-16", "is UTF-16BE, which"),
        ("log.csv", codecs.BOM_UTF16_LE + "query\n".encode("utf-16-le"), "utf-8", "is UTF-16: .*set it to utf-16"),
        ("log.csv.gz", b"no gzip file", "latin-1", "log.csv.gz cannot be read as latin-1"),
        ("log.csv", gzip.compress(b"query\nred\n"), "utf-8", "is zipped by gzip: let its name end in .gz"),
    ],
)
def test_a_file_that_is_written_otherwise_than_it_says_is_refused(tmp_path, name, content, encoding, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(str(tmp_path / name), "data.options.log", CSVFormat(encoding=encoding))
