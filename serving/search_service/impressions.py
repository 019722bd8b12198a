"""The log of what was shown and clicked, as the `clicks` reader reads it."""

from __future__ import annotations

import csv
import datetime
import os
import threading
from collections.abc import Sequence
from pathlib import Path

COLUMNS = ("time", "query", "document_id", "position", "impressions", "clicks")


class ImpressionLog:
    """Appends to a CSV file. A search is a row per product shown, a click a row without an impression; rows are summed.

    Thread-safe; a row that was written outlives this process, though not a power cut that follows at once. The file may
    be renamed, removed or emptied at any time, as `logrotate` does: a new one begins, with a header of its own.
    """

    def __init__(self, path: str | Path):
        """Opens the file, with its header if it is new or empty; a row that a kill has cut is ended."""
        self._path = Path(path)
        self._lock = threading.Lock()
        self._open()
        if not _ends_with_newline(path):
            self._file.write("\r\n")

    def _open(self) -> None:
        self._file = open(self._path, "a", encoding="utf-8", newline="")  # noqa: SIM115, open as long as the service runs
        self._writer = csv.writer(self._file)
        self._add_header()

    def _add_header(self) -> None:
        if os.fstat(self._file.fileno()).st_size == 0:
            self._writer.writerow(COLUMNS)
            self._file.flush()

    def add_search(self, query: str, document_ids: Sequence[str]) -> None:
        """Writes what was shown, in the order in which it was."""
        now = _now()
        self._write([(now, query, key, place, 1, 0) for place, key in enumerate(document_ids, start=1)])

    def add_click(self, query: str, document_id: str, position: int) -> None:
        """Writes a click on the product at `position`, from 1."""
        self._write([(_now(), query, document_id, position, 0, 1)])

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        with self._lock:
            if self._path.exists() and os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
                self._add_header()
            else:
                self._file.close()
                self._open()
            self._writer.writerows(rows)
            self._file.flush()


def _ends_with_newline(path: str | Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
