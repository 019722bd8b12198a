"""Which queries are tested, so that no text of pre-training may equal one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfr_listbert.config import Config, read_config
from tfr_listbert.schema import SPLITS, InputError

_TESTED_IN_TURN = ("esci",)
"""Readers of sets of which every query is tested in turn, in folds over all splits."""


def find_tested_splits(config: Config) -> tuple[str, ...]:
    """Returns the splits whose queries are left out of pre-training: validation and test, or all if tested in turn."""
    is_tested_in_turn = config.data.reader in _TESTED_IN_TURN or config.compare.folds
    return SPLITS if is_tested_in_turn else ("validation", "test")


def require_untested_starts(config: Config, starts: Iterable[str | None]) -> None:
    """Checks that no run of `starts` has learned from the queries that `compare.folds` tests in turn.

    Args:
        config: of a comparison.
        starts: run folders of encoders to start from.

    Raises:
        InputError: for one that was trained on `data.lists` without leaving all its queries out.
    """
    for start in starts if config.compare.folds else ():
        if start is None or not (Path(start) / "config.yaml").exists():
            continue
        found = read_config(Path(start) / "config.yaml")
        is_pretrained = (Path(start) / "corpus.json").exists()  # and not imported
        has_read = (is_pretrained and found.pretrain.lists) or (Path(start) / "rows.json").exists()
        is_same = Path(found.data.lists).resolve() == Path(config.data.lists).resolve()
        if has_read and is_same and find_tested_splits(found) != SPLITS:
            raise InputError(
                f"`compare.folds` tests each query in turn, and {start} was trained on most of them: pre-train anew "
                "with `compare.folds` set there, too, which leaves all queries out, or compare without folds."
            )
