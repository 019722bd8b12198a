"""Where each list of a split lies in its shards and how many documents it has: the ground of an order of training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfr_listbert.lists.elwc import read_records
from tfr_listbert.rows.token_cache import RowStore
from tfr_listbert.schema import InputError

_HEADER_BYTES = 12  # of a TFRecord: length and its checksum; a checksum of 4 bytes follows the record
_FRAME_BYTES = 16
_EXAMPLES_TAG = 0x0A  # field 1 of ExampleListWithContext, a message


@dataclasses.dataclass(frozen=True, eq=False)
class ListIndex:
    """The lists of a split in their stored order.

    Attributes:
        shards: paths.
        stamps: what tells that each is still the file that was indexed.
        shard: [N] int32, the shard of each list.
        offset: [N] int64, the first byte of its record there.
        length: [N] int64, bytes of its record.
        rows: [N] int32, its documents.
        stores: the token rows of the lists by kind, where they are kept; see `open_token_cache`.
    """

    shards: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    rows: np.ndarray
    stores: Mapping[str, RowStore] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Returns the number of lists."""
        return len(self.rows)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the serialized lists of these numbers, [B] bytes; only they are read.

        Raises:
            InputError: if their shard is another file now.
        """
        records = np.empty(len(numbers), object)
        for place, number in enumerate(numbers):
            path = self.shards[self.shard[number]]
            with open(path, "rb") as file:
                if _stamp(os.fstat(file.fileno())) != self.stamps[self.shard[number]]:
                    raise InputError(f"{path} was written anew while it was being read; start again.")
                file.seek(self.offset[number])
                records[place] = file.read(self.length[number])
        return records

    def count_tokens(self) -> np.ndarray:
        """Returns the number of tokens of each list, [N] int64; for lists whose rows are kept."""
        return sum(store.count_tokens() for store in self.stores.values())


def index_lists(shards: Sequence[str]) -> ListIndex:
    """Returns the index of the lists in `shards`, which are read through once; nothing in them is parsed.

    Raises:
        InputError: if a shard is damaged.
    """
    stamps = tuple(_stamp(os.stat(path)) for path in shards)  # first: what is written anew meanwhile must differ
    found = [(number, *place) for number, path in enumerate(shards) for place in _walk_shard(path)]
    table = np.array(found, np.int64).reshape(-1, 4)
    shard, offset, length, rows = table.T
    return ListIndex(tuple(shards), stamps, shard.astype(np.int32), offset, length, rows.astype(np.int32))


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_mtime_ns


def _walk_shard(path: str) -> Iterator[tuple[int, int, int]]:
    offset = 0
    for record in read_records(path):
        yield offset + _HEADER_BYTES, len(record), count_examples(record)
        offset += _FRAME_BYTES + len(record)


def count_examples(record: bytes) -> int:
    """Returns the number of examples in the bytes of an ExampleListWithContext, whose inside is skipped."""
    place = count = 0
    while place < len(record):
        count += record[place] == _EXAMPLES_TAG
        place += 1
        size = shift = 0
        while record[place] & 0x80:
            size |= (record[place] & 0x7F) << shift
            place, shift = place + 1, shift + 7
        size |= record[place] << shift
        place += 1 + size
    return count
