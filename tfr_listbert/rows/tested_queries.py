"""Which queries are tested, so that no text of pre-training may equal one."""

from __future__ import annotations

from tfr_listbert.config import Config
from tfr_listbert.schema import SPLITS

_TESTED_IN_TURN = ("esci",)
"""Readers of sets of which every query is tested in turn, in folds over all splits."""


def find_tested_splits(config: Config) -> tuple[str, ...]:
    """Returns the splits whose queries are left out of pre-training: validation and test, or all if tested in turn."""
    is_tested_in_turn = config.data.reader in _TESTED_IN_TURN or config.compare.folds
    return SPLITS if is_tested_in_turn else ("validation", "test")
