"""Token rows of prepared lists on disk: tokenized once for all epochs, and for all runs that cut text alike."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfr_listbert.folders import lock_folder, replace_folder

KINDS = ("tokens", "query_tokens")
"""What `RowBatcher` makes of text: rows of documents, and rows of queries where these are apart."""
_TYPE = np.int32


@dataclasses.dataclass(frozen=True, eq=False)
class RowStore:
    """Rows of one kind for each list of a split, in stored order; memory-mapped.

    Attributes:
        tokens: [T] int32, row after row.
        rows: [R + 1] int64, where each row begins in `tokens`, and T.
        lists: [N + 1] int64, where each list begins among the rows, and R.
    """

    tokens: np.ndarray
    rows: np.ndarray
    lists: np.ndarray

    def read(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the tokens of the lists of these numbers, [·] int32, and how many each row has, [·] int64."""
        tokens, lengths = [np.zeros(0, _TYPE)], [np.zeros(0, np.int64)]
        for first, end in zip(self.lists[numbers], self.lists[numbers + 1], strict=True):
            tokens.append(self.tokens[self.rows[first] : self.rows[end]])
            lengths.append(np.diff(self.rows[first : end + 1]))
        return np.concatenate(tokens), np.concatenate(lengths)

    def count_tokens(self) -> np.ndarray:
        """Returns the number of tokens of each list, [N] int64."""
        return np.diff(self.rows[self.lists])


def open_token_cache(folder: str | Path, build: Callable[[], tf.data.Dataset]) -> dict[str, RowStore]:
    """Returns the stored rows by kind, made now if `folder` is not there: whole or not at all.

    Takes four bytes on disk for a token and eight for a row, and while it is made twelve of memory for a row.

    Args:
        folder: where they are kept; its name must tell apart lists, tokenizers and budgets.
        build: one pass over the lists in their stored order, in batches of `RowBatcher`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        with lock_folder(folder.parent):  # several runs of a comparison may begin at once
            if not folder.is_dir():  # or else another process made it meanwhile
                with replace_folder(folder, (), "train.cache_tokens") as partial:
                    _write_rows(partial, build())
    return {kind: _open_store(folder, kind) for kind in KINDS if (folder / f"{kind}.ids").exists()}


def _write_rows(folder: Path, dataset: tf.data.Dataset) -> None:
    kinds = [kind for kind in KINDS if kind in dataset.element_spec]
    lengths: Mapping[str, list[np.ndarray]] = {kind: [np.zeros(1, _TYPE)] for kind in kinds}
    counts: Mapping[str, list[np.ndarray]] = {kind: [np.zeros(1, _TYPE)] for kind in kinds}
    with contextlib.ExitStack() as stack, tqdm(desc="tokenizing", unit=" lists") as progress:
        files = {kind: stack.enter_context(open(folder / f"{kind}.ids", "wb")) for kind in kinds}
        for batch in dataset:
            documents = tf.math.count_nonzero(batch["mask"], axis=1, dtype=tf.int32).numpy()
            for kind in kinds:
                files[kind].write(batch[kind].flat_values.numpy().astype(_TYPE).tobytes())
                lengths[kind].append(batch[kind].row_lengths().numpy().astype(_TYPE))
                counts[kind].append(documents if kind == "tokens" else np.ones_like(documents))
            progress.update(len(documents))
    for kind in kinds:
        np.save(folder / f"{kind}.rows.npy", np.cumsum(np.concatenate(lengths[kind]), dtype=np.int64))
        np.save(folder / f"{kind}.lists.npy", np.cumsum(np.concatenate(counts[kind]), dtype=np.int64))


def _open_store(folder: Path, kind: str) -> RowStore:
    rows, lists = (np.load(folder / f"{kind}.{name}.npy", mmap_mode="r") for name in ("rows", "lists"))
    return RowStore(np.memmap(folder / f"{kind}.ids", _TYPE, "r"), rows, lists)
