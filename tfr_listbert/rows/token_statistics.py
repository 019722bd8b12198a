"""How many tokens the rows of prepared lists make, added to their `stats.json` once there is a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from tfr_listbert.folders import replace_file
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.lists.statistics import STATISTICS_FILE, Distribution, format_values, join_row


def add_token_statistics(lists: str | Path, tokenizer: tf.Module) -> None:
    """Adds `tokens_per_row` to each split in the `stats.json` of a folder of lists and prints it.

    A row is the query and all fields, as in the other statistics of rows: before a budget cuts it, and without special
    ids. Lists that `prepare_data` did not write have no `stats.json` and are left alone.
    """
    path = Path(lists) / STATISTICS_FILE
    if not path.exists():
        return
    statistics = json.loads(path.read_text(encoding="utf-8"))
    for split, described in statistics["splits"].items():
        if described["lists"]:
            described["tokens_per_row"] = _count_tokens(lists, split, tokenizer).describe()
            print(f"{split}: tokens per row: {format_values(described['tokens_per_row'])}")
    with replace_file(path) as partial:
        partial.write_text(json.dumps(statistics, indent=1, ensure_ascii=False), encoding="utf-8")


def _count_tokens(lists: str | Path, split: str, tokenizer: tf.Module) -> Distribution:
    counted = Distribution()
    for ranked_list in tqdm(read_lists(lists, split), desc=f"counting tokens of {split}", unit=" lists"):
        rows = [join_row(ranked_list.query, document) for document in ranked_list.documents]
        for tokens in tokenizer.tokenize(tf.constant(rows, tf.string)).row_lengths().numpy():
            counted.add(int(tokens))
    return counted
