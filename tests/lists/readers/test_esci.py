"""ESCI's two files become lists of one locale and version, letters turned into gains."""

import duckdb
import pytest

from tfr_listbert.config import build_dataclass
from tfr_listbert.lists.readers.esci import ESCIReader
from tfr_listbert.schema import InputError

EXAMPLES = [  # query, query_id, product_id, locale, letter, small, large, split
    ("kindle", 1, "A", "us", "E", 1, 1, "train"),
    ("kindle", 1, "B", "us", "S", 1, 1, "train"),
    ("kindle", 1, "C", "us", "C", 1, 1, "train"),
    ("kindle", 1, "D", "us", "I", 1, 1, "train"),
    ("case", 2, "A", "us", "I", 0, 1, "test"),
    ("funda", 3, "A", "es", "E", 1, 1, "test"),
]
PRODUCTS = [("A", "Kindle", "us"), ("B", "Kobo", "us"), ("C", "Case", "us"), ("D", "", "us"), ("A", "Kindle es", "es")]


@pytest.fixture
def build(tmp_path):
    def write(examples=EXAMPLES, products=PRODUCTS, **options) -> ESCIReader:
        names = "query, query_id, product_id, product_locale, esci_label, small_version, large_version, split"
        write_parquet(tmp_path / "examples.parquet", names, examples)
        texts = [(*product, "long text", "bullets", "Acme", None) for product in products]
        names = "product_id, product_title, product_locale, product_description, product_bullet_point, product_brand"
        write_parquet(tmp_path / "products.parquet", f"{names}, product_color", texts)
        paths = {"examples": str(tmp_path / "examples.parquet"), "products": str(tmp_path / "products.parquet")}
        return build_dataclass(ESCIReader, {**paths, **options}, "data.options")

    return write


def write_parquet(path, names, rows) -> None:
    values = ", ".join(f"({', '.join('NULL' if value is None else repr(value) for value in row)})" for row in rows)
    duckdb.sql(f"COPY (SELECT * FROM (VALUES {values}) AS t({names})) TO '{path}' (FORMAT parquet)")


def test_letters_become_gains_and_the_official_split_is_kept(build, read):
    reading = read(build(), ["title", "description", "bullet_points", "brand", "color"], split_by="given")
    assert reading.labels == {"1": {"A": 3.0, "B": 2.0, "C": 1.0, "D": 0.0}, "2": {"A": 0.0}}
    assert {one.query: one.split for one in reading.lists} == {"kindle": "train", "case": "test"}
    assert reading.passed_over == {"examples of another locale than us or not in the large version": 1}
    document = next(one for one in reading.lists if one.query == "case").documents[0]
    assert document.fields == {
        "title": "Kindle",
        "description": "long text",
        "bullet_points": "bullets",
        "brand": "Acme",
        "color": "",
    }


def test_the_small_version_leaves_queries_out(build, read):
    assert list(read(build(version="small")).labels) == ["1"]


def test_a_product_is_looked_up_in_its_own_locale(build, read):
    (one,) = read(build(locale="es")).lists
    assert (one.query, one.documents[0].fields["title"]) == ("funda", "Kindle es")


def test_gains_are_named_in_the_config(build, read):
    gains = {"E": 1, "S": 0.1, "C": 0.01, "I": 0}
    assert read(build(gains=gains)).labels["1"] == {"A": 1.0, "B": 0.1, "C": 0.01, "D": 0.0}


def test_what_does_not_fit_is_rejected(build, read):
    examples = [*EXAMPLES, ("kindle", 1, "Z", "us", "E", 1, 1, "train"), ("kindle", 1, "A", "us", "X", 1, 1, "train")]
    reading = read(build(examples, [*PRODUCTS, ("A", "Kindle again", "us")]))
    assert reading.rejected == [
        ("products.parquet", 6, "the same document again; the first row is kept", "A / us"),
        ("examples.parquet", 7, "unknown document", "Z / us"),
        ("examples.parquet", 8, "label is not among `data.options.gains`", "X"),
    ]


def test_options_are_checked(build):
    for options, message in (
        ({"version": "tiny"}, "`data.options.version` must be small or large, got 'tiny'"),
        ({"gains": {"E": -1, "S": 0, "C": 0, "I": 0}}, "`data.options.gains.E` must be a finite number >= 0, got -1"),
        ({"gains": {"E": 4}}, "`data.options.gains` must have E, S, C and I; S, C, I is missing, got {'E': 4"),
    ):
        with pytest.raises(InputError, match=message):
            build(**options)


def test_a_locale_that_the_file_does_not_have_is_answered_with_those_it_has(build, read):
    with pytest.raises(
        InputError, match="`data.options.locale` must be a locale of .*parquet, which has es, us, got 'de'"
    ):
        read(build(locale="de"))


def test_a_split_by_time_is_refused(build, read):
    with pytest.raises(InputError, match="`data.split.by` must be query or given, .*got 'time'"):
        read(build(), split_by="time")
