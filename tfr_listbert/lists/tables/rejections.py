"""Rows that cannot be used: counted, written to a file with their line and reason, and too many of them refused."""

from __future__ import annotations

import collections
import csv
import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from tfr_listbert.config import DataConfig
from tfr_listbert.folders import replace_file
from tfr_listbert.schema import InputError, RejectedRow

_NAMED_ROWS = 5


class Rejections:
    """Takes the rejected rows of each input of a reader; a context manager around the CSV file it writes.

    Attributes:
        inputs: by the setting that names the input: `rows` read, `rejected` among them, and `reasons` with counts.
    """

    def __init__(
        self,
        path: str | Path,
        max_rate: float = 0.0,
        max_rates: Mapping[str, float] | None = None,
        refused_path: str | Path | None = None,
    ):
        """Writes to `path` a CSV file of `source`, `line`, `reason`, `value`.

        Args:
            path: a new file.
            max_rate: fraction of an input's rows above which it is refused, `data.max_rejected_rate`; 0 where every row
                must be sound.
            max_rates: likewise of rows rejected for one reason, by reason, which then count there alone,
                `data.max_rejected_rates`.
            refused_path: file that lists the rejected rows of an input that is refused; none when empty.
        """
        self._path, self._max_rate, self._max_rates = Path(path), max_rate, dict(max_rates or {})
        self._refused_path = refused_path
        self.inputs: dict[str, dict[str, Any]] = {}

    @classmethod
    def as_configured(cls, path: str | Path, data: DataConfig, refused_path: str | Path | None = None) -> Rejections:
        """Returns what writes to `path` and refuses inputs above the limits of `data`."""
        return cls(path, data.max_rejected_rate, data.max_rejected_rates, refused_path)

    def __enter__(self) -> Rejections:
        """Opens the file."""
        self._file = self._path.open("w", encoding="utf-8", newline="")
        self._writer = _begin(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._file.close()

    def add_input(
        self, setting: str, rows: int, reasons: Mapping[str, int], rejected: Iterable[RejectedRow], hint: str = ""
    ) -> None:
        """Takes what was rejected of one input.

        Args:
            setting: the setting that names the input, such as `data.options.log`.
            rows: all its rows.
            reasons: number of rejected rows by reason.
            rejected: the rows; read only as far as they are written or named.
            hint: what may help to mend them.

        Raises:
            InputError: if there are no rows, or the fraction of rejected ones is above the limit.
        """
        if rows == 0:
            raise InputError(f"`{setting}` has no rows.")
        if self._are_too_many(rows, reasons):
            raise InputError(self._describe(setting, rows, reasons, rejected, hint))
        for row in rejected:
            self._writer.writerow(dataclasses.astuple(row))
        by_count = collections.Counter(reasons).most_common()
        self.inputs[setting] = {"rows": rows, "rejected": sum(reasons.values()), "reasons": dict(by_count)}

    def _are_too_many(self, rows: int, reasons: Mapping[str, int]) -> bool:
        others = sum(count for reason, count in reasons.items() if reason not in self._max_rates)
        return others > rows * self._max_rate or any(
            reasons.get(reason, 0) > rows * rate for reason, rate in self._max_rates.items()
        )

    def _describe(
        self, setting: str, rows: int, reasons: Mapping[str, int], rejected: Iterable[RejectedRow], hint: str
    ) -> str:
        count = sum(reasons.values())
        summary = "; ".join(f"{reason} ({number:,})" for reason, number in collections.Counter(reasons).most_common())
        rejected = iter(rejected)
        first = list(itertools.islice(rejected, _NAMED_ROWS))
        named = "".join(
            f"\n  {row.source} line {row.line}: {row.reason}" + (f": {row.value[:80]!r}" if row.value else "")
            for row in first
        )
        return (
            f"{count:,} of {rows:,} rows of `{setting}` ({count / rows:.1%}) cannot be used, {self._describe_limit()}: "
            f"{summary}. {hint}\nThe first ones:{named}{self._list_refused(itertools.chain(first, rejected))}\n"
            f"{self._describe_way_out(max(reasons, key=reasons.get))}"
        )

    def _describe_limit(self) -> str:
        if not self._max_rate:
            return "and every row must be sound"
        others = f" with `data.max_rejected_rates` = {self._max_rates}" if self._max_rates else ""
        return f"more than `data.max_rejected_rate` = {self._max_rate} allows{others}"

    def _describe_way_out(self, reason: str) -> str:
        if not self._max_rate:
            return "Mend them."
        return (
            "Mend them, or go on without them: raise `data.max_rejected_rate`, or for one reason alone, with the words "
            f"above: 'data.max_rejected_rates={{\"{reason}\": RATE}}'."
        )

    def _list_refused(self, rejected: Iterable[RejectedRow]) -> str:
        """Writes the rows to `refused_path`, and returns a sentence that says so."""
        if not self._refused_path:
            return ""
        with replace_file(self._refused_path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            _begin(file).writerows(map(dataclasses.astuple, rejected))
        return f"\nAll are in {self._refused_path}."


def _begin(file: TextIO) -> Any:
    writer = csv.writer(file)
    writer.writerow(("source", "line", "reason", "value"))
    return writer
