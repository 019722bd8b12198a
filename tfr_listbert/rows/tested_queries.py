"""Which queries are tested, so that nothing may be trained on their text, the tokenizer included."""

from __future__ import annotations

from tfr_listbert.config import DataConfig
from tfr_listbert.schema import SPLITS

_TESTED_IN_TURN = ("esci",)
"""Readers of sets of which every query is tested in turn, in folds over all splits."""


def find_tested_splits(config: DataConfig) -> tuple[str, ...]:
    """Returns the splits of prepared lists whose queries must stay unseen: validation and test; all of ESCI's."""
    return SPLITS if config.reader in _TESTED_IN_TURN else ("validation", "test")
