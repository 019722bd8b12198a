"""The token rows of a corpus on disk: one array for each width, read by number without holding the corpus in memory."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.rows.buckets import choose_widths

PARTS = ("train", "held_out")

_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 4_000_000  # texts may be of megabytes
_CHUNK_ROWS = 65_536


def read_rows(folder: str | Path, part: str) -> tuple[np.ndarray, ...]:
    """Returns the rows of a part, `train` or `held_out`, that `write_rows` wrote.

    Returns:
        For each width, ascending, token ids [n, width], padded; memory-mapped, at least one row in each.
    """
    return tuple(np.load(path, mmap_mode="r") for path in sorted(Path(folder).glob(f"{part}-*.npy")))


def write_rows(
    texts: Iterator[tuple[str, bool]], tokenizer: tf.Module, folder: str | Path, row_tokens: int, buckets: int
) -> dict[str, int]:
    """Writes `<s> text </s>` of all texts as arrays `{train,held_out}-<width>.npy`.

    A text that is too long for a row becomes several of like length; one without a token becomes none. Nothing but one
    chunk of texts or rows is held.

    Args:
        texts: text, and whether it is held out.
        tokenizer: as `read_tokenizer` gives it.
        folder: where the arrays are written.
        row_tokens: most tokens of a row, `<s>` and `</s>` included.
        buckets: most widths of a part, chosen for the fewest padded tokens.

    Returns:
        Number of real tokens, `<s>` and `</s>` included, by part.
    """
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        writers = {part: _RowWriter(folder, part, stack) for part in PARTS}
        for chunk in _split_chunks(texts):
            tokens = tokenizer.tokenize(tf.constant([text for text, _ in chunk]))
            is_held_out = np.array([held_out for _, held_out in chunk])
            for part, chosen in zip(PARTS, (~is_held_out, is_held_out), strict=True):
                writers[part].write(tf.ragged.boolean_mask(tokens, chosen), row_tokens - 2)
    for part, writer in writers.items():
        _write_arrays(folder, part, writer.histogram, tokenizer, buckets)
    return {part: sum(length * count for length, count in writers[part].histogram.items()) for part in PARTS}


def _split_chunks(texts: Iterator[tuple[str, bool]]) -> Iterator[list[tuple[str, bool]]]:
    chunk, characters = [], 0
    for text, is_held_out in texts:
        chunk.append((text, is_held_out))
        characters += len(text)
        if len(chunk) == _CHUNK_TEXTS or characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def split_lengths(lengths: np.ndarray, longest: int) -> np.ndarray:
    """Returns the lengths of the pieces into which texts of `lengths` are cut, as even as can be.

    >>> split_lengths(np.array([3, 0, 10]), 4).tolist()
    [3, 4, 3, 3]
    """
    pieces = -(-lengths // longest)
    text = np.repeat(np.arange(len(lengths)), pieces)
    number = np.arange(len(text)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return lengths[text] // pieces[text] + (number < lengths[text] % pieces[text])


def _list_row_files(folder: Path, part: str) -> list[Path]:
    return [folder / f"{part}.{name}" for name in ("ids", "lengths")]


class _RowWriter:
    """Writes the ids of rows, without special ones, and their lengths; the files close with `stack`.

    Attributes:
        histogram: number of rows by length, special ids included.
    """

    def __init__(self, folder: Path, part: str, stack: contextlib.ExitStack):
        paths = _list_row_files(folder, part)
        self._ids, self._lengths = (stack.enter_context(path.open("wb")) for path in paths)
        self.histogram: collections.Counter[int] = collections.Counter()

    def write(self, tokens: tf.RaggedTensor, longest: int) -> None:
        lengths = split_lengths(tokens.row_lengths().numpy(), longest).astype(np.int32)
        self.histogram.update((lengths + 2).tolist())
        tokens.flat_values.numpy().astype(np.int32).tofile(self._ids)
        lengths.tofile(self._lengths)


def _read_row_files(folder: Path, part: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields ids and lengths of some thousand rows at a time, and removes the files at the end."""
    paths = _list_row_files(folder, part)
    with paths[0].open("rb") as ids_file, paths[1].open("rb") as lengths_file:
        while len(lengths := np.fromfile(lengths_file, np.int32, _CHUNK_ROWS)):
            yield np.fromfile(ids_file, np.int32, lengths.sum()), lengths
    for path in paths:
        path.unlink()


def _write_arrays(folder: Path, part: str, histogram: Mapping[int, int], tokenizer: tf.Module, buckets: int) -> None:
    widths = np.array(choose_widths(histogram, buckets, max(histogram))) if histogram else np.zeros(0, int)
    dtype = np.uint16 if tokenizer.vocabulary_size <= 2**16 else np.int32
    counts = np.zeros(len(widths), int)
    for length, count in histogram.items():
        counts[np.searchsorted(widths, length)] += count
    arrays = [
        np.lib.format.open_memmap(folder / f"{part}-{width:05d}.npy", "w+", dtype, (int(count), int(width)))
        for width, count in zip(widths, counts, strict=True)
    ]
    filled = np.zeros(len(widths), int)
    for ids, lengths in _read_row_files(folder, part):
        bucket_of_row = np.searchsorted(widths, lengths + 2)
        for bucket in np.unique(bucket_of_row):
            chosen = bucket_of_row == bucket
            rows = _pad_rows(ids[np.repeat(chosen, lengths)], lengths[chosen], widths[bucket], tokenizer)
            arrays[bucket][filled[bucket] : filled[bucket] + len(rows)] = rows
            filled[bucket] += len(rows)
    for array in arrays:
        array.flush()


def _pad_rows(ids: np.ndarray, lengths: np.ndarray, width: int, tokenizer: tf.Module) -> np.ndarray:
    """Returns `<s> text </s>` [N, width] of texts whose ids follow each other in `ids`."""
    rows = np.full((len(lengths), width), tokenizer.pad_id)
    place = np.arange(width)
    rows[:, 0] = tokenizer.bos_id
    rows[(place > 0) & (place <= lengths[:, np.newaxis])] = ids
    rows[place == lengths[:, np.newaxis] + 1] = tokenizer.eos_id
    return rows
