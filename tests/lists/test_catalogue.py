"""A catalogue is read by names of columns, in any form that readers take, and every row must be sound."""

import math

import duckdb
import pytest

from tfr_listbert.lists.catalogue import read_catalogue
from tfr_listbert.schema import Document, InputError

PRODUCTS = "sku;title;price\n2;coat;3.5\n01;hat;\n"
COLUMNS = {"document_id": "sku"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_products_come_by_their_ids_with_missing_numbers(tmp_path, form):
    (tmp_path / "products.csv").write_text(PRODUCTS)
    duckdb.sql(f"COPY (FROM read_csv('{tmp_path}/products.csv', all_varchar = true)) TO '{tmp_path}/products.parquet'")
    first, second = read_catalogue(str(tmp_path / f"products.{form}"), COLUMNS, ["title"], ["price"])
    assert (first.document_id, first.fields) == ("01", {"title": "hat"}) and math.isnan(first.features["price"])
    assert second == Document("2", {"title": "coat"}, 0.0, {"price": 3.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sku", "id"), "`--columns.document_id` must name a column of .*products.csv, which has no column 'sku'"),
        (("3.5", "much"), "1 of 2 rows of `--catalogue` .*price is not a number(.|\n)*line 2"),
        (("01", "2"), "the same document again"),
        (("01", ""), "no document_id"),
    ],
)
def test_what_is_wrong_with_a_catalogue_is_told_in_the_words_of_who_reads_it(tmp_path, change, message):
    (tmp_path / "products.csv").write_text(PRODUCTS.replace(*change, 1))
    with pytest.raises(InputError, match=message):
        list(
            read_catalogue(
                str(tmp_path / "products.csv"), COLUMNS, ["title"], ["price"], settings=("--catalogue", "--columns")
            )
        )
