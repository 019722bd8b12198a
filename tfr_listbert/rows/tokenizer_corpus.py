"""The texts of the prepared lists that a tokenizer may learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfr_listbert.config import Config, FieldConfig, require
from tfr_listbert.lists.elwc import list_shards, read_lists
from tfr_listbert.text.tokenizer import train_tokenizer


def read_texts(lists: str, fields: Sequence[FieldConfig]) -> Iterator[str]:
    """Yields the queries and, in their templates, the text fields of the training lists.

    Neither validation nor test lists are read: their queries must stay unseen, and a product that is worth its pieces
    is in a training list too. A product counts as often as it is listed, which is how often it will be tokenized.

    Args:
        lists: folder of the shards.
        fields: text fields to read.

    Raises:
        InputError: if the training shards or one of the fields are missing.
    """
    list_shards(lists, "train", [field.name for field in fields])
    for ranked_list in read_lists(lists, "train"):
        yield ranked_list.query
        for document in ranked_list.documents:
            for field in fields:
                if text := document.fields.get(field.name, "").strip():
                    yield field.template.replace("{}", text)


def train_tokenizer_from_lists(config: Config) -> None:
    """Trains the tokenizer on the training lists in `data.lists` and writes it to `text.folder`.

    Raises:
        InputError: as `read_texts` and `train_tokenizer`, and if the tokenizer's kind is not one that is trained here.
    """
    text = config.text
    require(
        text.tokenizer == "sentencepiece",
        "text.tokenizer",
        "must be sentencepiece, the one that is trained here",
        text.tokenizer,
    )
    train_tokenizer(read_texts(config.data.lists, text.fields), text.folder, text.vocabulary_size, text.lowercase)
    print(f"Wrote a tokenizer of {text.vocabulary_size} pieces to {text.folder}.")
