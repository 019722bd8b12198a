"""Windows of time by which a log is split."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Sequence
from typing import Any

from tfr_listbert.lists.tables.database import quote_text
from tfr_listbert.lists.tables.rules import Rule, build_text
from tfr_listbert.schema import InputError


@dataclasses.dataclass(frozen=True)
class Window:
    """The moments from `start` on and before `end`, in UTC, and the split that they make."""

    split: str
    start: datetime.datetime
    end: datetime.datetime


def parse_windows(train: Sequence[Any], test: Sequence[Any], validation: Sequence[Any] = ()) -> tuple[Window, ...]:
    """Returns the windows of training, validation if there is one, and test; or none if none is given.

    Args:
        train: two dates or times as YAML gives them, objects or text; a time without a zone is UTC.
        test: likewise.
        validation: likewise; may be missing.

    Raises:
        InputError: if only one is given, or one is no window, or one begins before the one above it here has ended.
    """
    if not train and not test and not validation:
        return ()
    bounds = {"train": train, **({"validation": validation} if validation else {}), "test": test}
    windows = tuple(parse_window(split, given, f"data.options.{split}_window") for split, given in bounds.items())
    for before, after in itertools.pairwise(windows):
        if before.end > after.start:
            raise InputError(
                f"`data.options.{after.split}_window` must begin when `{before.split}_window` has ended, or later, got "
                f"{list(bounds[before.split])} and {list(bounds[after.split])}."
            )
    return windows


def parse_window(split: str, bounds: Sequence[Any], setting: str) -> Window:
    """Returns the window from the first to before the second of two dates or times; see `parse_windows`.

    Raises:
        InputError: if they are no window.
    """
    message = f"`{setting}` must be [start, end], two dates or times, got {list(bounds)}."
    try:
        start, end = (_parse_time(bound) for bound in bounds)
    except ValueError:
        raise InputError(message) from None
    if not start < end:
        raise InputError(f"{message} The end is the first moment that no longer belongs to it.")
    return Window(split, start, end)


def _parse_time(value: Any) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(str(value))
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def build_time(name: str) -> str:
    """Returns SQL for a column as a moment, else NULL: ISO date or time, YYYYMMDD, (milli)seconds since 1970."""
    text = f"trim({build_text(name)})"
    number = f"TRY_CAST({text} AS DOUBLE)"
    day = f"TRY_CAST(try_strptime(left({text}, 8), '%Y%m%d') AS TIMESTAMPTZ)"
    seconds = f"to_timestamp(CASE WHEN abs({number}) >= 1e11 THEN {number} / 1000 ELSE {number} END)"
    return (
        f"CASE WHEN regexp_full_match({text}, '(19|20)[0-9]{{6}}([.]0*)?') THEN {day} "
        f"WHEN {number} BETWEEN -1e13 AND 1e13 THEN {seconds} ELSE TRY_CAST({text} AS TIMESTAMPTZ) END"
    )


def require_time(name: str) -> Rule:
    """Returns the rule that a column holds a moment, from 1990 to a year ahead: others were misread, as 04-03-24 is."""
    form = "2024-03-04, 20240304, 2024-03-04 10:00:00 with a zone or in UTC, or seconds since 1970"
    is_likely = f"{build_time(name)} BETWEEN TIMESTAMPTZ '1990-01-01' AND now() + INTERVAL 1 YEAR"
    reason = f"{name} is not a date or time since 1990 ({form})"
    return Rule(reason, f"NOT coalesce({is_likely}, false)", f"coalesce({build_text(name)}, '')")


def split_rows(checked: str, name: str, windows: Sequence[Window]) -> str:
    """Returns a query that adds two columns to rows, and asks nothing of a row outside all windows.

    `_time` is the moment of a row, NULL where it is none; `_split` that of its window, NULL outside them, and "" for
    every row if there are no windows. A row with a moment outside keeps no `_reason`.

    Args:
        checked: rows as `check_rows` gives them.
        name: column of the time.
        windows: the windows.
    """
    if not windows:
        return f"SELECT *, NULL::TIMESTAMPTZ AS _time, '' AS _split FROM ({checked})"
    cases = " ".join(
        f"WHEN _time >= {_quote(window.start)} AND _time < {_quote(window.end)} THEN {quote_text(window.split)}"
        for window in windows
    )
    timed = f"SELECT *, CASE WHEN NOT ({require_time(name).broken}) THEN {build_time(name)} END AS _time"
    return (
        "SELECT * REPLACE (CASE WHEN _split IS NOT NULL OR _time IS NULL THEN _reason END AS _reason) "
        f"FROM (SELECT *, CASE {cases} END AS _split FROM ({timed} FROM ({checked})))"
    )


def _quote(moment: datetime.datetime) -> str:
    return f"TIMESTAMPTZ {quote_text(moment.isoformat())}"
