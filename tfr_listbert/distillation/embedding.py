"""Embeds a catalogue: only products whose text has changed since the last time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tqdm

from tfr_listbert.config import Config, build_dataclass
from tfr_listbert.distillation.encoding import StudentEncoder
from tfr_listbert.distillation.faiss_index import import_faiss, write_faiss_index
from tfr_listbert.distillation.search_files import MAPPINGS, read_deletes, write_deletes, write_search_files
from tfr_listbert.distillation.vectors import VECTORS_FILE, StoredVectors, VectorWriter, read_vectors
from tfr_listbert.folders import recover_folder, replace_folder
from tfr_listbert.lists.catalogue import read_catalogue, read_listed_documents
from tfr_listbert.lists.elwc import list_splits, read_lists
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.schema import Document, InputError

_RECALL_QUERIES = 500
_NAMES = (VECTORS_FILE, "vectors-*.npy", "hashes-*.npy", "ids-*.json", "opensearch", "elasticsearch", "faiss")


@dataclasses.dataclass(frozen=True)
class Embedded:
    """What a call has done.

    Attributes:
        stored: the vectors.
        encoded: documents that were encoded.
        kept: documents whose vectors are those of before.
        removed: documents of before that are no more.
        empty: documents without any text, which have no vector: to a ranker they are padding.
    """

    stored: StoredVectors
    encoded: int
    kept: int
    removed: int
    empty: int


def embed_documents(config: Config) -> Embedded:
    """Writes the vectors that the student in `train.run` gives a catalogue to `vectors.output`.

    Where the folder holds vectors of the same student and type, those of documents with the same text are kept. The
    folder is made beside and takes its place when it is whole. Deletes for an engine that are still in the folder are
    in the new one, too, with those of products that are no more, also where `vectors.formats` is without the engine.

    Raises:
        InputError: if student, catalogue or deletes are missing or broken, or the catalogue's ids are not all there
            and different.
    """
    settings = config.vectors
    queries = _read_queries(config) if "faiss" in settings.formats else []
    encoder = StudentEncoder(config.train.run, config.evaluate.checkpoint)
    documents = _read_documents(config, encoder.fields)
    recover_folder(settings.output)
    before = _read_before(settings.output)
    unsent = {path.name: read_deletes(path) for path in map(Path(settings.output).joinpath, MAPPINGS) if path.is_dir()}
    is_alike = before is not None and (before.model, before.dtype) == (encoder.version, settings.dtype)
    reuse = _Reuse(encoder, before if is_alike else None, settings.batch_documents)
    with replace_folder(settings.output, _NAMES, "vectors.output") as folder:
        writer = VectorWriter(folder, encoder.version, settings.dtype, encoder.vector_size)
        progress, empty = tqdm.tqdm(desc="embed", unit="document", mininterval=2), 0
        while part := list(itertools.islice(documents, settings.shard_documents)):
            full = [document for document in part if any(document.fields.values())]
            empty += len(part) - len(full)
            if full:
                writer.write(*reuse.embed(full))
            progress.update(len(part))
        stored = writer.close()
        if not stored.count:  # bulk files of none would delete all that the last ones have put into an index
            raise InputError(f"`vectors.catalogue` {settings.catalogue} has no products with text; nothing is written.")
        removed = sorted(set(before.read_ids()) - set(stored.read_ids())) if before else []
        _write_formats(config, stored, encoder, queries)
        _write_deletes(config, stored, removed, unsent)
    stored = dataclasses.replace(stored, folder=Path(settings.output))
    embedded = Embedded(stored, reuse.encoded, reuse.kept, len(removed), empty)
    print(
        f"{settings.output}: {stored.count} vectors of {stored.vector_size} {stored.dtype} numbers; {embedded.encoded} "
        f"encoded, {embedded.kept} kept, {embedded.removed} removed, {empty} without text left out. Student "
        f"{config.train.run}, version {encoder.version}."
    )
    return embedded


def _read_documents(config: Config, fields: Sequence[str]) -> Iterator[Document]:
    settings = config.vectors
    if settings.catalogue is None:
        return iter(read_listed_documents(config.data.lists, fields))
    csv_format = build_dataclass(CSVFormat, settings.csv, "vectors.csv")
    return read_catalogue(settings.catalogue, settings.columns, fields, csv_format=csv_format)


def _read_before(folder: str) -> StoredVectors | None:
    """Returns the vectors that are there, of whatever student; None if there are none, or broken ones."""
    with contextlib.suppress(InputError):
        return read_vectors(folder)
    return None


def _write_formats(config: Config, stored: StoredVectors, encoder: StudentEncoder, queries: Sequence[str]) -> None:
    """Writes what `vectors.formats` asks for; recall is measured with `queries`."""
    settings = config.vectors
    for name in dict.fromkeys(settings.formats):
        folder = stored.folder / name
        if name != "faiss":
            write_search_files(stored, name, settings.index, folder)
            continue
        found = write_faiss_index(stored, encoder.encode_queries(queries), folder)
        width = found["search_width"]
        print(f"faiss: recall of the 10 best {found['recall_10'][width]:.4f} at efSearch {width}.")


def _write_deletes(
    config: Config, stored: StoredVectors, removed: Sequence[str], unsent: Mapping[str, set[tuple[str, str]]]
) -> None:
    """Writes for each engine the deletes that were not sent yet and those of the ids `removed`, without what is back.

    The folder of an engine that is no longer among `vectors.formats` stays for them: who fills an index by it has to
    learn of products that are no more, whenever it is.
    """
    settings = config.vectors
    new, present = ({(settings.index, document_id) for document_id in ids} for ids in (removed, stored.read_ids()))
    for engine in (name for name in MAPPINGS if name in settings.formats or name in unsent):
        deletes, folder = (unsent.get(engine, set()) | new) - present, stored.folder / engine
        if engine not in settings.formats:
            folder.mkdir()
            print(
                f"`vectors.formats` is without {engine}: {Path(settings.output) / engine} keeps its "
                f"{len(deletes)} deletes alone. Remove the folder if no index is filled by it."
            )
        write_deletes(deletes, folder)


def _read_queries(config: Config) -> list[str]:
    """Returns queries that recall is measured with: those of the validation lists, or else of the training lists.

    Raises:
        InputError: if FAISS is not installed, or there are no lists.
    """
    import_faiss()
    for split in ("validation", "train"):
        if split in list_splits(config.data.lists):
            return [one.query for one in itertools.islice(read_lists(config.data.lists, split), _RECALL_QUERIES)]
    message = f"The recall of a FAISS index is measured with queries; `data.lists` {config.data.lists} has no lists."
    raise InputError(message)


def hash_text(document: Document, fields: Sequence[str]) -> int:
    """Returns a hash of the texts of a document that a student reads, 64 bits."""
    texts = json.dumps([document.fields.get(name, "") for name in fields])
    return int.from_bytes(hashlib.blake2b(texts.encode(), digest_size=8).digest(), "big")


class _Reuse:
    """Vectors of before where the text is the same, new ones elsewhere."""

    def __init__(self, encoder: StudentEncoder, known: StoredVectors | None, batch_documents: int):
        self._encoder, self._batch_documents = encoder, batch_documents
        self._places = known.index() if known else {}
        self._shards = list(known.open_shards()) if known else []
        self.encoded = self.kept = 0

    def embed(self, documents: Sequence[Document]) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Returns ids, hashes and vectors of documents."""
        hashes = [hash_text(document, self._encoder.fields) for document in documents]
        vectors = np.zeros((len(documents), self._encoder.vector_size), np.float32)
        waiting = []
        for row, (document, digest) in enumerate(zip(documents, hashes, strict=True)):
            place = self._places.get(document.document_id)
            if place is not None and place[2] == digest:
                vectors[row] = self._shards[place[0]][place[1]]
                self.kept += 1
            else:
                waiting.append(row)
        for start in range(0, len(waiting), self._batch_documents):
            rows = waiting[start : start + self._batch_documents]
            vectors[rows] = self._encoder.encode_documents([documents[row] for row in rows])
        self.encoded += len(waiting)
        return [document.document_id for document in documents], np.array(hashes, np.uint64), vectors
