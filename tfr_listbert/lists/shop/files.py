"""The files that the simulated shop exports."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import duckdb
import numpy as np

from tfr_listbert.folders import replace_folder
from tfr_listbert.lists.shop.simulation import Shop
from tfr_listbert.lists.shop.visitors import Log

CATALOGUE_FILE = "catalogue.csv.gz"
LOG_FILE = "search_log.csv.gz"
GRADES_FILE = "true_grades.csv"


def write_shop(shop: Shop, folder: str | Path) -> None:
    """Writes the shop's files into `folder`, which is replaced as a whole.

    - `catalogue.csv.gz`: `document_id`, `title`, `brand`, `description`, `category`, `price`, `sizes`, `reviews`;
    - `search_log.csv.gz`: summed by `day`, `query`, `document_id` and `position`: `impressions`, `clicks`,
      `add_to_cart`, `purchases`;
    - `true_grades.csv`: `query`, `document_id`, `grade` of all that the search finds, from 0 to 4.

    Raises:
        InputError: if the folder holds anything but a simulated shop.
    """
    # Known by the grades, which no real shop has: the export of a real one is never replaced.
    with (
        replace_folder(folder, (GRADES_FILE, CATALOGUE_FILE, LOG_FILE, "report.json"), "shop.output") as partial,
        contextlib.closing(duckdb.connect()) as database,
    ):
        _register_tables(database, shop)
        _copy(database, _CATALOGUE, partial / CATALOGUE_FILE)
        _copy(database, _LOG, partial / LOG_FILE)
        _copy(database, _GRADES, partial / GRADES_FILE)


_CATALOGUE = """
    SELECT document_id, title, brand, description, category, price, sizes, reviews
    FROM product WHERE NOT is_delisted ORDER BY index"""
_LOG = """
    SELECT DATE '1970-01-01' + day::INTEGER AS day, text AS query, document_id, position,
           impressions, clicks, add_to_cart, purchases
    FROM log JOIN query ON query.index = log.query JOIN product ON product.index = log.product
    ORDER BY log.row"""
_GRADES = """
    SELECT text AS query, document_id, grade
    FROM (SELECT DISTINCT * FROM grade) AS grade
    JOIN query ON query.index = grade.query JOIN product ON product.index = grade.product
    ORDER BY grade.query, grade.product"""


def _copy(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    compression = "gzip" if path.suffix == ".gz" else "none"
    target = str(path).replace("'", "''")
    database.execute(f"COPY ({query}) TO '{target}' (FORMAT csv, HEADER, COMPRESSION {compression})")


def _register_tables(database: duckdb.DuckDBPyConnection, shop: Shop) -> None:
    """Gives the database the tables `product`, `query`, `log` and `grade`."""
    products = shop.products
    texts = ("document_id", "title", "description", "category", "sizes")
    columns = {name: np.asarray([getattr(product, name) for product in products], object) for name in texts}
    columns["brand"] = np.asarray([product.shown_brand for product in products], object)
    columns["price"] = np.asarray([product.price for product in products])
    columns["reviews"] = np.asarray([int(20 * product.popularity) for product in products])
    database.register("product", {"index": np.arange(len(products)), **columns, "is_delisted": shop.is_delisted})
    query_texts = np.asarray([query.text for query in shop.queries], object)
    database.register("query", {"index": np.arange(len(query_texts)), "text": query_texts})
    log = {
        field.name: np.concatenate([getattr(part, field.name) for part in (shop.training.log, shop.test.log)])
        for field in dataclasses.fields(Log)
    }
    database.register("log", {"row": np.arange(len(log["day"])), **log})
    database.register("grade", _list_grades(shop))


def _list_grades(shop: Shop) -> dict[str, np.ndarray]:
    """Returns the true grades of what the search finds in either window, as columns."""
    parts = (shop.training.found, shop.test.found)
    rows = [np.repeat(np.arange(len(found.candidates)), found.candidates.shape[1]) for found in parts]
    return {
        "query": np.concatenate(rows),
        "product": np.concatenate([found.candidates.ravel() for found in parts]),
        "grade": np.concatenate([found.grades.ravel() for found in parts]),
    }
