"""The exported files: columns, contents, and the same bytes for the same seed."""

import csv
import dataclasses
import gzip

import pytest

from tfr_listbert.lists.shop.files import CATALOGUE_FILE, GRADES_FILE, LOG_FILE, write_shop
from tfr_listbert.schema import InputError


def read(path):
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(content.decode().splitlines()))


@pytest.fixture(scope="module")
def folder(small_shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "export"
    write_shop(small_shop, folder)
    return folder


def test_only_whole_files_are_left(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted([CATALOGUE_FILE, LOG_FILE, GRADES_FILE])
    assert [path.name for path in folder.parent.iterdir()] == ["export"]


def test_log_rows_are_those_of_the_simulation(folder, small_shop):
    rows, log = read(folder / LOG_FILE), small_shop.training.log
    assert len(rows) == len(log.day) + len(small_shop.test.log.day)
    assert rows[0] == {
        "day": "2024-03-04",
        "query": small_shop.queries[log.query[0]].text,
        "document_id": small_shop.products[log.product[0]].document_id,
        **{
            name: str(getattr(log, name)[0])
            for name in ("position", "impressions", "clicks", "add_to_cart", "purchases")
        },
    }
    assert rows[-1]["day"] == "2024-05-19"


def test_catalogue_has_what_a_shop_knows_and_no_more(folder, small_shop):
    rows = read(folder / CATALOGUE_FILE)
    first = small_shop.products[0]
    assert list(rows[0]) == ["document_id", "title", "brand", "description", "category", "price", "sizes", "reviews"]
    assert rows[0]["title"] == first.title and float(rows[0]["price"]) == pytest.approx(first.price)


def test_delisted_products_are_in_the_log_alone(small_shop, tmp_path):
    delisted = small_shop.training.log.product[0]
    is_delisted = small_shop.is_delisted.copy()
    is_delisted[delisted] = True
    write_shop(dataclasses.replace(small_shop, is_delisted=is_delisted), tmp_path / "export")
    document_id = small_shop.products[delisted].document_id
    assert document_id not in {row["document_id"] for row in read(tmp_path / "export" / CATALOGUE_FILE)}
    assert document_id in {row["document_id"] for row in read(tmp_path / "export" / LOG_FILE)}


def test_every_logged_pair_has_one_true_grade(folder):
    grades = read(folder / GRADES_FILE)
    pairs = [(row["query"], row["document_id"]) for row in grades]
    assert len(set(pairs)) == len(pairs)
    assert {(row["query"], row["document_id"]) for row in read(folder / LOG_FILE)} <= set(pairs)
    assert {row["grade"] for row in grades} == set("01234")


def test_the_export_of_a_real_shop_is_not_replaced(small_shop, tmp_path):
    (tmp_path / LOG_FILE).write_text("real")
    with pytest.raises(InputError, match="`shop.output`"):
        write_shop(small_shop, tmp_path)
    assert (tmp_path / LOG_FILE).read_text() == "real"


def test_the_same_shop_gives_the_same_bytes_also_over_old_files(folder, small_shop, tmp_path):
    write_shop(small_shop, tmp_path)
    write_shop(small_shop, tmp_path)
    for name in (CATALOGUE_FILE, LOG_FILE, GRADES_FILE):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
