"""What the checks of several sections share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfr_listbert.schema import IS_JUDGED, RESERVED_NAMES, TEACHER_SCORE, InputError


def require(is_valid: bool, setting: str, rule: str, value: Any) -> None:
    """Raises the standard error for a setting that breaks its rule.

    >>> require(1 >= 2, "data.list_size", "must be >= 2 to rank", 1)
    Traceback (most recent call last):
    ...
    tfr_listbert.schema.InputError: `data.list_size` must be >= 2 to rank, got 1.
    """
    if not is_valid:
        raise InputError(f"`{setting}` {rule}, got {value!r}.")


def require_seed(seed: int, setting: str) -> None:
    """Raises the standard error for a seed that not all generators take."""
    require(0 <= seed < 2**31, setting, "must be >= 0 and < 2^31", seed)


def require_names(names: Sequence[str], setting: str) -> None:
    """Raises the standard error for names that repeat or that lists use themselves; readers fold their case."""
    reserved = sorted({*RESERVED_NAMES, TEACHER_SCORE, IS_JUDGED})
    rule = f"may not use a reserved name ({', '.join(reserved)}); give the column another one by the reader's `columns`"
    for name in names:
        require(name.casefold() not in reserved, setting, rule, name)
    different = {name.casefold() for name in names}
    require(len(different) == len(names), setting, "must not repeat a name, upper or lower case", list(names))
