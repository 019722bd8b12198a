"""Text files, zipped or not, by DuckDB and by Python."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from typing import TextIO

from tfr_listbert.lists.tables.database import quote_text
from tfr_listbert.lists.tables.formats.base import MAX_ROW_BYTES, quote_paths
from tfr_listbert.schema import InputError


def read_csv(files: Sequence[str], types: str, delimiter: str, quote: str, keeps_rejects: bool) -> str:
    """Returns DuckDB's call that reads such files, to which further options and the bracket are to be added.

    Args:
        files: their paths.
        types: type of each column, as a struct in SQL.
        delimiter: between columns.
        quote: around texts; none when empty.
        keeps_rejects: whether rows that are left out are noted in `reject_errors`.
    """
    keep = f"store_rejects = true, rejects_line_size_limit = {MAX_ROW_BYTES}"
    # Where rows are counted again no file is read in parts: see `require_all_rows`
    rejects = keep if keeps_rejects else "ignore_errors = true, parallel = false"
    return (
        f"read_csv({quote_paths(files)}, columns = {types}, delim = {quote_text(delimiter)}, "
        f"quote = {quote_text(quote)}, escape = {quote_text(quote)}, auto_detect = false, filename = true, "
        "hive_partitioning = false, "
        f"max_line_size = {MAX_ROW_BYTES}, {rejects}, "
    )


def scan_lines(files: Sequence[str], keeps_rejects: bool) -> str:
    """Returns a query for `_file`, `_row` and `line`; the delimiter is one that text does not hold, lest it be cut."""
    lines = read_csv(files, "{'line': 'VARCHAR'}", "\x01\x02\x03\x04", "", keeps_rejects)
    return (
        "SELECT * FROM (SELECT filename AS _file, row_number() OVER () AS _row, line "
        f"FROM {lines}header = false, strict_mode = false)) WHERE trim(line) <> ''"
    )


@contextlib.contextmanager
def open_text(path: str, encoding: str) -> Iterator[TextIO]:
    """Opens a file whose text may be broken further on: what cannot be decoded becomes U+FFFD."""
    is_zipped = path.endswith(".gz")
    try:
        with gzip.open(path, "rb") if is_zipped else open(path, "rb") as stream:
            if not is_zipped and stream.peek(2)[:2] == b"\x1f\x8b":
                raise InputError(f"{path} is zipped by gzip: let its name end in .gz.")
            yield io.TextIOWrapper(stream, encoding.replace("utf-8", "utf-8-sig"), errors="replace", newline="")
    except (EOFError, zlib.error, OSError, UnicodeError) as error:
        raise InputError(f"{path} cannot be read as {encoding}: {error}.") from None
