"""Texts out of files: every format, counts of queries, and files that cannot be read."""

import gzip
import json

import duckdb
import pytest

from tfr_listbert.config import build_dataclass
from tfr_listbert.lists.tables.database import Database
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.rows.corpus_sources import CorpusSource, create_texts, load_source
from tfr_listbert.schema import InputError

FIELDS = [{"name": "title"}, {"name": "brand", "template": "by {}"}]
PRODUCTS = [("red dress", "acme"), ("blue hat", None), ("Red  Dress", "ACME"), ("it's 5\" wide", "o'neill")]
TEXTS = {"red dress by acme", "blue hat", "it's 5\" wide by o'neill"}


def load(folder, values, max_rejected_rate=0.0):
    """Returns the rows of the table `texts` of one source."""
    source = build_dataclass(CorpusSource, values, "pretrain.sources[0]")
    with (
        Database(folder / "database") as database,
        Rejections(folder / "rejected.csv", max_rejected_rate) as rejections,
    ):
        create_texts(database)
        load_source(rejections, database, source, "pretrain.sources[0]")
        return list(database.read_rows("SELECT key, text, kind, count FROM texts ORDER BY key"))


def write_products(folder, ending):
    path = folder / f"products.{ending}"
    if ending == "jsonl.gz":
        lines = [json.dumps({"title": title, "brand": brand}) for title, brand in PRODUCTS]
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
    else:
        values = ", ".join("(?, ?)" for _ in PRODUCTS)
        options = "(FORMAT parquet)" if ending == "parquet" else "(FORMAT csv, HEADER)"
        query = f"COPY (SELECT * FROM (VALUES {values}) AS product(title, brand)) TO '{path}' {options}"
        duckdb.execute(query, [value for product in PRODUCTS for value in product])
    return path


@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "parquet"])
def test_columns_of_every_format_become_texts_each_once(tmp_path, ending):
    path = write_products(tmp_path, ending)
    rows = load(tmp_path, {"path": str(path), "fields": FIELDS})
    assert {key for key, *_ in rows} == TEXTS and len(rows) == 3
    assert all(kind == "products" and count is None for _, _, kind, count in rows)
    assert {text for key, text, *_ in rows if key == "red dress by acme"} <= {"red dress by acme", "Red  Dress by ACME"}


def test_columns_may_be_called_as_those_of_the_query_that_reads_them(tmp_path):
    (tmp_path / "a.csv").write_text("title,is_used\nred dress,yes\nblue coat,no\n")
    rows = load(tmp_path, {"path": str(tmp_path / "a.csv"), "fields": [{"name": "title"}, {"name": "is_used"}]})
    assert [key for key, *_ in rows] == ["blue coat no", "red dress yes"]


def test_a_plain_text_file_holds_a_text_per_line(tmp_path):
    (tmp_path / "a.txt").write_text('one line, with "quotes\n\n  another; line\t\nRÖCKE 裙子\n')
    (tmp_path / "b.txt").write_text("another; line\n")
    rows = load(tmp_path, {"path": str(tmp_path / "*.txt")})
    assert [key for key, *_ in rows] == ["another; line", 'one line, with "quotes', "röcke 裙子"]


def test_a_line_with_a_control_sign_is_rejected_not_cut(tmp_path):
    (tmp_path / "a.txt").write_text("red dress\nblue\x01 hat\ngreen hat\n")
    rows = load(tmp_path, {"path": str(tmp_path / "a.txt")}, max_rejected_rate=0.9)
    assert [key for key, *_ in rows] == ["green hat", "red dress"]
    assert f"{tmp_path}/a.txt,2,line holds the control sign U+0001," in (tmp_path / "rejected.csv").read_text()


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_latin_1_and_utf_8_are_told_apart(tmp_path, ending):
    for encoding in ("latin-1", "utf-8"):
        content = "text\n" + "plain\n" * 300_000 + "Röcke grün\n"
        content = content.encode(encoding)
        folder = tmp_path / encoding
        folder.mkdir()
        (folder / f"a.{ending}").write_bytes(gzip.compress(content) if ending == "csv.gz" else content)
        rows = load(folder, {"path": str(folder / f"a.{ending}")})
        assert [key for key, *_ in rows] == ["plain", "röcke grün"]


def test_files_of_one_source_are_of_one_encoding(tmp_path):
    for encoding in ("latin-1", "utf-8"):
        (tmp_path / f"{encoding}.csv").write_text("text\nRöcke\n", encoding=encoding)
    message = "must name files of one encoding, got .*latin-1.csv in latin-1 and .*utf-8.csv in utf-8; make them two"
    with pytest.raises(InputError, match=message):
        load(tmp_path, {"path": str(tmp_path / "*.csv")})
    (tmp_path / "said").mkdir()
    rows = load(tmp_path / "said", {"path": str(tmp_path / "latin*.csv"), "csv": {"encoding": "latin-1"}})
    assert [key for key, *_ in rows] == ["röcke"]


def test_a_glob_reads_all_its_files(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(f"text\nfile {number}\nin all files\n")
    rows = load(tmp_path, {"path": str(tmp_path / "?.csv")})
    assert [key for key, *_ in rows] == ["file 0", "file 1", "file 2", "in all files"]


def test_each_row_of_a_log_of_searches_counts_once(tmp_path):
    (tmp_path / "log.csv").write_text("q\nred dress\nRed Dress\nhat\nred  dress\n")
    rows = load(tmp_path, {"path": str(tmp_path / "log.csv"), "query": "q"})
    assert [row[::2] for row in rows] == [("hat", "queries"), ("red dress", "queries")]
    assert [row[3] for row in rows] == [1, 3]


def test_a_query_counts_as_often_as_the_product_shown_most_for_it(tmp_path):
    (tmp_path / "log.csv").write_text("query,product,shown\na b,p1,3\na b,p2,4\na b,p1,2\nc d,p1,1\n")
    source = {"path": str(tmp_path / "log.csv"), "query": "query", "count": "shown"}
    assert [row[3] for row in load(tmp_path, source)] == [9, 1]
    (tmp_path / "by_product").mkdir()
    assert [row[3] for row in load(tmp_path / "by_product", source | {"document_id": "product"})] == [5, 1]


def test_rows_outside_the_window_are_passed_over(tmp_path):
    (tmp_path / "log.csv").write_text(
        "query,day\nbefore,2024-02-29\nfirst,2024-03-01\nlast,2024-03-02\nafter,2024-03-03\n"
    )
    window = {"query": "query", "time": "day", "window": ["2024-03-01", "2024-03-03"]}
    rows = load(tmp_path, {"path": str(tmp_path / "log.csv"), **window})
    assert [key for key, *_ in rows] == ["first", "last"]
    later = window | {"window": ["2025-03-01", "2025-03-03"]}
    with pytest.raises(InputError, match=r"sources.0..window` \['2025-03-01', '2025-03-03'\] has no row of .*log.csv"):
        load(tmp_path / "later", {"path": str(tmp_path / "log.csv"), **later})


def test_rows_that_cannot_be_used_are_named_by_line(tmp_path):
    (tmp_path / "log.csv").write_text("query,n\nred dress,3\n,4\nblue hat,-1\n")
    source = {"path": str(tmp_path / "log.csv"), "query": "query", "count": "n"}
    assert [row[0] for row in load(tmp_path, source, max_rejected_rate=0.9)] == ["red dress"]
    rejected = (tmp_path / "rejected.csv").read_text()
    assert f"{tmp_path}/log.csv,3,no query," in rejected and f"{tmp_path}/log.csv,4,count is negative,-1" in rejected
    (tmp_path / "strict").mkdir()
    with pytest.raises(InputError, match="2 of 3 rows of `pretrain.sources.0..path` .* cannot be used"):
        load(tmp_path / "strict", source)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": "{folder}/none*.csv"}, r"`pretrain.sources\[0\].path` must name a file"),
        ({"path": "{folder}/products.csv", "fields": [{"name": "titel"}]}, "no column 'titel'. Did you mean 'title'"),
        ({"path": "{folder}/products.csv", "query": "search"}, r"`pretrain.sources\[0\].query` must name a column"),
        ({"path": "{folder}/products.csv"}, "no column 'text'"),
        ({"path": "{folder}/header.csv"}, r"`pretrain.sources\[0\].path` has no rows"),
        ({"path": "{folder}/empty.txt"}, "empty.txt is empty"),
        ({"path": "a.csv", "fields": [{"name": "a"}], "query": "b"}, "`fields and query` must not both be given"),
        ({"path": "a.csv", "count": "n"}, "`count` is read with `query` only"),
        ({"path": "a.csv", "query": "q", "time": "day"}, "`time and window` go together"),
        ({"path": "a.csv", "fields": [{"name": "a", "template": "by"}]}, "must hold {} once"),
        ({"path": "a.csv", "columns": {}}, r"`pretrain.sources\[0\].columns` is not a setting"),
    ],
)
def test_a_source_that_cannot_be_read_gets_a_message(tmp_path, values, message):
    write_products(tmp_path, "csv")
    (tmp_path / "header.csv").write_text("text\n")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match=message):
        load(tmp_path, values | {"path": values["path"].format(folder=tmp_path)})
