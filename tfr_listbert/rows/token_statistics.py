"""How many tokens the rows of prepared lists make, added to their `stats.json` once there is a tokenizer."""

from __future__ import annotations

import collections
import itertools
import json
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from tfr_listbert.config import TextConfig
from tfr_listbert.folders import write_whole
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.lists.statistics import STATISTICS_FILE, Distribution, format_values, join_row
from tfr_listbert.schema import QUERY


def add_token_statistics(lists: str | Path, tokenizer: tf.Module, text: TextConfig) -> None:
    """Adds `tokens_per_row` and `cut_rates` to each split in the `stats.json` of a folder of lists and prints them.

    A row is the query and all fields, as in the other statistics of rows: before a budget cuts it, and without special
    ids. `cut_rates` says of the query and of each of `text.fields` which share of the texts its budget cuts. Lists that
    `prepare_data` did not write have no `stats.json` and are left alone.
    """
    path = Path(lists) / STATISTICS_FILE
    if not path.exists():
        return
    statistics = json.loads(path.read_text(encoding="utf-8"))
    for split, described in statistics["splits"].items():
        if described["lists"]:
            counted, rates = _count_tokens(lists, split, tokenizer, text)
            described["tokens_per_row"], described["cut_rates"] = counted.describe(), rates
            print(f"{split}: tokens per row: {format_values(described['tokens_per_row'])}")
            print(f"{split}: texts cut by their budget: {', '.join(f'{n} {rate:.1%}' for n, rate in rates.items())}")
    write_whole(path, json.dumps(statistics, indent=1, ensure_ascii=False))


def _count_tokens(
    lists: str | Path, split: str, tokenizer: tf.Module, text: TextConfig
) -> tuple[Distribution, dict[str, float]]:
    counted, cut, total = Distribution(), collections.Counter(), collections.Counter()
    budgets = {QUERY: text.query_tokens, **{field.name: field.tokens for field in text.fields}}
    for ranked_list in tqdm(read_lists(lists, split), desc=f"counting tokens of {split}", unit=" lists"):
        documents = ranked_list.documents
        texts = {QUERY: [ranked_list.query]}
        for field in text.fields:
            texts[field.name] = [field.fill(one.fields.get(field.name, "")) for one in documents]
        rows = [join_row(ranked_list.query, document) for document in documents]
        together = tf.constant([*rows, *itertools.chain(*texts.values())], tf.string)  # a call costs a millisecond
        lengths = iter(tokenizer.tokenize(together).row_lengths().numpy().tolist())
        for tokens in itertools.islice(lengths, len(rows)):
            counted.add(tokens)
        for name, own in texts.items():
            cut[name] += sum(tokens > budgets[name] for tokens in itertools.islice(lengths, len(own)))
            total[name] += len(own)
    return counted, {name: round(cut[name] / total[name], 4) for name in total}
