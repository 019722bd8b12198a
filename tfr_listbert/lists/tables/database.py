"""The database in which rows are checked, summed and sorted: DuckDB, on disk, within a fixed amount of memory."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
from tqdm import tqdm

from tfr_listbert.config import require
from tfr_listbert.cores import count_cores
from tfr_listbert.schema import InputError

MEMORY_GIGABYTES = 1.0
"""Memory of the database unless a reader's options say otherwise; what does not fit is spilled to disk."""

_FETCH_ROWS = 10_000
_FILE_ERRORS = (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException)


class Database:
    """A DuckDB database in a scratch folder; a context manager.

    Tables, sorts and sums that outgrow the memory limit go to the folder, so a log of any length is read within it.
    Times without a zone are UTC.
    """

    def __init__(self, folder: str | Path, memory_gigabytes: float | None = None):
        """Opens a new database in `folder`, which is made if missing.

        Args:
            folder: the scratch folder.
            memory_gigabytes: the option of that name of a reader that has it.

        Raises:
            InputError: if the memory is too little to read anything.
        """
        self._advice = "" if memory_gigabytes is None else "raise `data.options.memory_gigabytes` or "
        memory_gigabytes = MEMORY_GIGABYTES if memory_gigabytes is None else memory_gigabytes
        require(memory_gigabytes >= 0.25, "data.options.memory_gigabytes", "must be >= 0.25", memory_gigabytes)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._memory_gigabytes = memory_gigabytes
        self._connection = duckdb.connect(str(Path(folder) / "rows.duckdb"))
        threads = max(1, min(count_cores(), int(8 * memory_gigabytes)))  # each wants about 125 MB
        self._connection.execute(f"SET memory_limit = '{memory_gigabytes}GB'; SET threads = {threads}")
        self._connection.execute(f"SET temp_directory = {quote_text(str(Path(folder) / 'spilled'))}")
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        self._connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")

    def __enter__(self) -> Database:
        """Returns the database."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the database; its files stay with the folder, which belongs to the caller."""
        self._connection.close()

    def run(self, sql: str, description: str = "") -> None:
        """Runs statements, with a progress bar if there is a description of what takes so long.

        Raises:
            InputError: if a file cannot be read or written, or the memory does not suffice.
        """
        with self._input_errors(), self._progress_bar(description):
            self._connection.execute(sql)

    def add_function(self, name: str, function: Callable[[str], str]) -> None:
        """Makes a function from text to text known to SQL."""
        self._connection.create_function(name, function, ["VARCHAR"], "VARCHAR")

    def read_rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a query a few thousand at a time; `run` may be called while they are read.

        Raises:
            InputError: as `run`; so do the methods below.
        """
        with self._connection.cursor() as cursor:
            with self._input_errors():
                rows = cursor.execute(sql).fetchmany(_FETCH_ROWS)
            while rows:
                yield from rows
                with self._input_errors():
                    rows = cursor.fetchmany(_FETCH_ROWS)

    def read_row(self, sql: str) -> tuple[Any, ...]:
        """Returns the one row of a query."""
        with self._input_errors():
            return self._connection.execute(sql).fetchall()[0]

    def describe(self, sql: str) -> list[tuple[str, Any]]:
        """Returns name and DuckDB type of each column of a query."""
        with self._input_errors():
            return [tuple(column[:2]) for column in self._connection.execute(f"FROM ({sql}) LIMIT 0").description]

    @contextlib.contextmanager
    def _progress_bar(self, description: str) -> Iterator[None]:
        if not description:
            yield
            return
        is_done = threading.Event()
        watcher = threading.Thread(target=self._show_progress, args=(description, is_done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_done.set()
            watcher.join()

    def _show_progress(self, description: str, is_done: threading.Event) -> None:
        with tqdm(total=100, desc=description, bar_format="{desc}: {n:.0f}% [{elapsed}]") as bar:
            while not is_done.wait(0.5):
                bar.n = max(bar.n, self._connection.query_progress())
                bar.refresh()
            bar.n = 100

    @contextlib.contextmanager
    def _input_errors(self) -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise InputError(
                f"{self._memory_gigabytes} GB of memory do not suffice; {self._advice}free "
                f"disk space beside the output. ({str(error).splitlines()[0]})"
            ) from None
        except _FILE_ERRORS as error:
            raise InputError(_describe_file_error(str(error))) from None


def _describe_file_error(message: str) -> str:
    path = re.search(r"file = (.*)", message)
    if path and "invalid state" in message:
        return (
            f"{path[1]} mixes line ends (\\n, \\r\\n, \\r); make them all alike, for example by `dos2unix {path[1]}`."
        )
    if "not latin-1 encoded" in message:
        return (
            "A CSV file holds signs that Latin-1 lacks, so it is probably Windows-1252. Convert it: "
            "iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv"
        )
    return f"A file cannot be read or written: {message.splitlines()[0][:500]}"


def quote_text(text: str) -> str:
    """Returns `text` as an SQL string.

    >>> quote_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Returns `name` as an SQL identifier.

    >>> quote_name('a "b" c')
    '"a ""b"" c"'
    """
    return '"' + name.replace('"', '""') + '"'


def quote_list(texts: list[str]) -> str:
    """Returns `texts` as an SQL list of strings.

    >>> quote_list(["a", "b"])
    "['a', 'b']"
    """
    return f"[{', '.join(map(quote_text, texts))}]"
