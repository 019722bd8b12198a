"""The texts that a tokenizer may learn from: of the prepared lists, or of the corpus of pre-training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfr_listbert.config import Config, FieldConfig, require
from tfr_listbert.lists.elwc import list_shards, read_lists
from tfr_listbert.rows.corpus_texts import TextCounts, read_corpus
from tfr_listbert.rows.tested_queries import find_tested_splits
from tfr_listbert.rows.token_statistics import add_token_statistics
from tfr_listbert.text.tokenizer import train_tokenizer


def read_texts(lists: str, fields: Sequence[FieldConfig], has_queries: bool = True) -> Iterator[str]:
    """Yields the queries and, in their templates, the text fields of the training lists.

    Neither validation nor test lists are read; a query of theirs that was asked in the training window, too, is read
    with the latter, as the ranker will be trained on it. A product counts as often as it is listed, which is how often
    it will be tokenized.

    Args:
        lists: folder of the shards.
        fields: text fields to read.
        has_queries: whether the queries of training lists may be read; not where they are tested, too.

    Raises:
        InputError: if the training shards or one of the fields are missing.
    """
    list_shards(lists, "train", [field.name for field in fields])
    for ranked_list in read_lists(lists, "train"):
        if has_queries:
            yield ranked_list.query
        for document in ranked_list.documents:
            for field in fields:
                if text := field.fill(document.fields.get(field.name, "").strip()):
                    yield text


def train_configured_tokenizer(config: Config) -> None:
    """Trains the tokenizer on the texts that `text.train_on` names and writes it to `text.folder`.

    The statistics of the lists get the tokens per row that it makes of them.

    Raises:
        InputError: as `read_texts` or `read_corpus`, and `train_tokenizer`; if no text is left; if the tokenizer's kind
            is not one that is trained here; and if the folder is that of a run.
    """
    text = config.text
    require(
        text.tokenizer == "sentencepiece",
        "text.tokenizer",
        "must be sentencepiece, the one that is trained here",
        text.tokenizer,
    )
    beside = Path(text.folder).parent
    is_of_run = (beside / "config.yaml").exists() and ((beside / "best").exists() or (beside / "checkpoints").exists())
    rule = "must not be the tokenizer of a run, whose weights know its ids; skip this step, or name another folder"
    require(not is_of_run, "text.folder", rule, text.folder)
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".corpus-", dir=beside) as folder:
        if text.train_on == "corpus":
            corpus = read_corpus(config, Path(folder), TextCounts())
            texts = (one for one, is_held_out in corpus if not is_held_out)
        else:
            texts = read_texts(config.data.lists, text.fields, "train" not in find_tested_splits(config))
        tokenizer = train_tokenizer(texts, text.folder, text.vocabulary_size, text.lowercase)
    print(f"Wrote a tokenizer of {text.vocabulary_size} pieces to {text.folder}.")
    add_token_statistics(config.data.lists, tokenizer, text)
