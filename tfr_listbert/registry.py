"""Registries: names that a config may use, each tied to the thing it names where that thing is defined."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from tfr_listbert.schema import InputError

Entry = TypeVar("Entry")


def suggest(name: str, known: list[str]) -> str:
    """Returns the end of an error message: the nearest known name, if one is near, and the list of all.

    >>> suggest("approx_ndgc_loss", ["approx_ndcg_loss", "list_mle_loss"])
    "Did you mean 'approx_ndcg_loss'? Known: approx_ndcg_loss, list_mle_loss."
    """
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(sorted(known)) or 'none'}."


class Registry(Generic[Entry]):
    """Names and what they stand for. Entries register where they are defined; a config only names them."""

    def __init__(self, kind: str):
        """Makes an empty registry; `kind` says in error messages what its entries are."""
        self._kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Returns a decorator that files its argument under `name`.

        Raises:
            ValueError: if the name is taken.
        """

        def add(entry: Entry) -> Entry:
            if name in self._entries:
                raise ValueError(f"The {self._kind} {name!r} is registered twice.")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str, setting: str) -> Entry:
        """Returns the entry called `name`.

        Raises:
            InputError: if there is none; the message names the `setting` that asked for it and the nearest known name.
        """
        if not isinstance(name, str) or name not in self._entries:
            raise InputError(f"`{setting}` names no {self._kind}: got {name!r}. {suggest(str(name), list(self))}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        """Iterates over the names in alphabetical order."""
        return iter(sorted(self._entries))


ENCODERS: Registry = Registry("encoder")
LOSSES: Registry = Registry("loss")
DISTILLATION_LOSSES: Registry = Registry("distillation loss")
READERS: Registry = Registry("reader")
TOKENIZERS: Registry = Registry("tokenizer")
