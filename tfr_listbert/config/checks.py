"""What the checks of several sections share."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import Any

from tfr_listbert.schema import (
    DOCUMENT_IDS,
    IS_JUDGED,
    NUM_DOCUMENTS,
    RESERVED_NAMES,
    RESULTS,
    TEACHER_SCORE,
    TOKENS,
    InputError,
)


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
    """Raises the standard error for names that repeat, or that lists or served models cannot have as an input's.

    Readers fold the case of names. A name in a SavedModel's signature must be one of Python's parameters.
    """
    served = {NUM_DOCUMENTS, TOKENS, DOCUMENT_IDS, RESULTS, "self"}
    reserved = sorted({*RESERVED_NAMES, TEACHER_SCORE, IS_JUDGED, *served})
    mend = "give the column another one by the reader's `columns`"
    for name in names:
        rule = f"may not use a reserved name ({', '.join(reserved)}); {mend}"
        require(name.casefold() not in reserved, setting, rule, name)
        is_plain = re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) and not keyword.iskeyword(name)
        rule = f"must be a name of the letters a to z, digits and _, since a served model's input has it; {mend}"
        require(bool(is_plain), setting, rule, name)
    different = {name.casefold() for name in names}
    require(len(different) == len(names), setting, "must not repeat a name, upper or lower case", list(names))
