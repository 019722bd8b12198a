"""A catalogue's vectors on disk: memory-mapped shards with ids, hashes of the texts and the model's version.

A folder holds `vectors.json`, and for each shard `vectors-00000.npy` [n, V], `hashes-00000.npy` [n] uint64 (of the
texts that were embedded) and `ids-00000.json`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfr_listbert.schema import InputError

VECTORS_FILE = "vectors.json"


@dataclasses.dataclass(frozen=True)
class StoredVectors:
    """The vectors in a folder.

    Attributes:
        folder: where they are.
        model: version of the student that made them, as of `compute_version`.
        dtype: `float32` or `float16`.
        vector_size: V.
        counts: documents of each shard.
    """

    folder: Path
    model: str
    dtype: str
    vector_size: int
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of documents, C."""
        return sum(self.counts)

    def read_ids(self) -> list[str]:
        """Returns the ids of all documents, in the order of their vectors."""
        return [one for number in range(len(self.counts)) for one in self._read_ids(number)]

    def open_shards(self) -> Iterator[np.ndarray]:
        """Yields the vectors of each shard [n, V], memory-mapped."""
        for number in range(len(self.counts)):
            yield np.load(self.folder / f"vectors-{number:05d}.npy", mmap_mode="r")

    def open_hashes(self) -> Iterator[np.ndarray]:
        """Yields the hashes of the texts of each shard, [n] uint64, memory-mapped."""
        for number in range(len(self.counts)):
            yield np.load(self.folder / f"hashes-{number:05d}.npy", mmap_mode="r")

    def read_vectors(self) -> np.ndarray:
        """Returns all vectors [C, V] in memory."""
        return np.concatenate([np.zeros((0, self.vector_size), self.dtype), *self.open_shards()])

    def index(self) -> dict[str, tuple[int, int, int]]:
        """Returns shard, row and hash of the text of each document by its id."""
        found = {}
        for number, hashes in enumerate(self.open_hashes()):
            for row, (document_id, digest) in enumerate(zip(self._read_ids(number), hashes.tolist(), strict=True)):
                found[document_id] = (number, row, digest)
        return found

    def _read_ids(self, number: int) -> list[str]:
        return json.loads((self.folder / f"ids-{number:05d}.json").read_text(encoding="utf-8"))


def read_vectors(folder: str | Path, model: str | None = None) -> StoredVectors:
    """Returns the vectors in a folder.

    Args:
        folder: what `embed_documents` wrote.
        model: version of the student that they must be of; any when None.

    Raises:
        InputError: if there are none, files of them are missing or cut, or they are of another model.
    """
    folder = Path(folder)
    try:
        values = json.loads((folder / VECTORS_FILE).read_text(encoding="utf-8"))
        stored = StoredVectors(folder, **values | {"counts": tuple(values["counts"])})
    except FileNotFoundError:
        raise InputError(f"There are no vectors in {folder}; run embed_documents first.") from None
    except (ValueError, TypeError, KeyError) as error:
        message = f"{folder / VECTORS_FILE} is cut or damaged: {error}. Run embed_documents again."
        raise InputError(message) from None
    if model is not None and stored.model != model:
        raise InputError(
            f"The vectors in {folder} are of another student: its version is {stored.model}, that of the run is "
            f"{model}. Scores between the two mean nothing; run embed_documents again."
        )
    _require_whole(stored)
    return stored


def _require_whole(stored: StoredVectors) -> None:
    try:
        shapes = [shard.shape for shard in stored.open_shards()]
        hashes = [len(shard) for shard in stored.open_hashes()]
        ids = stored.read_ids()
    except (OSError, ValueError) as error:
        raise InputError(f"The vectors in {stored.folder} are not whole: {error}. Run embed_documents again.") from None
    expected = [(count, stored.vector_size) for count in stored.counts]
    if shapes != expected or hashes != list(stored.counts) or len(ids) != stored.count:
        raise InputError(
            f"The vectors in {stored.folder} are not whole: {VECTORS_FILE} says {expected}, the shards are {shapes} "
            f"with {len(ids)} ids and {sum(hashes)} hashes. Run embed_documents again."
        )
    if "" in ids or len(set(ids)) != len(ids):
        raise InputError(f"The vectors in {stored.folder} have documents without an id or with the same; embed anew.")


class VectorWriter:
    """Writes vectors into a new folder, shard by shard."""

    def __init__(self, folder: Path, model: str, dtype: str, vector_size: int):
        """Writes to `folder`; see `StoredVectors`."""
        self._folder, self._model, self._dtype, self._vector_size = folder, model, dtype, vector_size
        self._counts: list[int] = []

    def write(self, ids: list[str], hashes: np.ndarray, vectors: np.ndarray) -> None:
        """Writes a shard: ids, hashes [n] uint64 and vectors [n, V].

        Raises:
            InputError: if a number is too large for the type of the store.
        """
        number = len(self._counts)
        with np.errstate(over="ignore"):
            stored = vectors.astype(self._dtype)
        if not np.isfinite(stored).all():
            raise InputError(f"`vectors.dtype` {self._dtype} cannot hold a number of these vectors; set float32.")
        np.save(self._folder / f"vectors-{number:05d}.npy", stored)
        np.save(self._folder / f"hashes-{number:05d}.npy", hashes)
        (self._folder / f"ids-{number:05d}.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
        self._counts.append(len(ids))

    def close(self) -> StoredVectors:
        """Writes what says that the folder is whole; returns the vectors in it."""
        stored = StoredVectors(self._folder, self._model, self._dtype, self._vector_size, tuple(self._counts))
        values = {name: value for name, value in vars(stored).items() if name != "folder"}
        (self._folder / VECTORS_FILE).write_text(json.dumps(values) + "\n", encoding="utf-8")
        return stored
