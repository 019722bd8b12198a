"""The lists that a comparison trains and tests on: one split as prepared, or folds in which each query is tested."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfr_listbert.config import Config
from tfr_listbert.folders import replace_folder
from tfr_listbert.lists.elwc import list_shards, list_splits, read_lists, write_shards
from tfr_listbert.lists.splits import hash_query
from tfr_listbert.schema import SPLITS, InputError, RankedList, fold_query
from tfr_listbert.training.contents import digest_lists

FOLDS_FOLDER = "folds"
_DONE_FILE = "folds.txt"


@dataclasses.dataclass(frozen=True)
class Fold:
    """Lists to train on and to test.

    Attributes:
        number: from 1; 0 for the split as prepared.
        lists: folder of the shards.
    """

    number: int
    lists: str


def prepare_folds(config: Config, output: str | Path) -> list[Fold]:
    """Returns the folds of `compare.folds`, written to `<output>/folds/` unless they are there.

    A query is in the test lists of one fold, by a hash, and in the validation lists of another, the next.

    Raises:
        InputError: if lists are missing, a fold would be empty, or other folds, or folds of other lists, are there.
    """
    folds = config.compare.folds
    if folds is None:
        for split in SPLITS:
            list_shards(config.data.lists, split)
        return [Fold(0, config.data.lists)]
    folder = Path(output) / FOLDS_FOLDER
    made_of = f"{folds} folds of lists with the hash {digest_lists(config.data.lists)}\n"
    if (folder / _DONE_FILE).exists():
        found = (folder / _DONE_FILE).read_text()
        if found != made_of:
            raise InputError(
                f"{folder} holds {found.strip()}, not {made_of.strip()} as `data.lists` {config.data.lists} has now: "
                "choose another `compare.output`, or take the lists back."
            )
    else:
        _write_folds(config, folds, folder, made_of)
    return [Fold(number, str(folder / str(number))) for number in range(1, folds + 1)]


def _identify(ranked_list: RankedList) -> tuple[str, ...]:
    """Returns what is equal of two lists of one query; a log may spell it otherwise in another window."""
    if ranked_list.query_id == ranked_list.query:
        return (fold_query(ranked_list.query),)
    return ranked_list.query_id, ranked_list.query


def _write_folds(config: Config, folds: int, folder: Path, made_of: str) -> None:
    lists = [one for split in list_splits(config.data.lists) for one in read_lists(config.data.lists, split)]
    lists = list({_identify(one): one for one in lists}.values())  # of two time windows the later one
    parts: list[list[RankedList]] = [[] for _ in range(folds)]
    for one in lists:
        parts[hash_query(one.query, "fold") % folds].append(dataclasses.replace(one, is_seen=0))
    if not all(parts):
        raise InputError(f"`compare.folds` must leave lists in each fold, got {folds} for {len(lists)} lists.")
    with replace_folder(folder, (_DONE_FILE, "[0-9]*"), "compare.output") as partial:
        for number in range(folds):
            chosen = {"test": [number], "validation": [(number + 1) % folds]}
            chosen["train"] = [other for other in range(folds) if other not in chosen["test"] + chosen["validation"]]
            for split, numbers in chosen.items():
                own = (one for other in numbers for one in parts[other])
                if split == "train" and not config.data.keep_equal_labels:
                    own = (one for one in own if len({document.label for document in one.documents}) > 1)
                write_shards(own, partial / str(number + 1), split)
        (partial / _DONE_FILE).write_text(made_of)
