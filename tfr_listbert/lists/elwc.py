"""Lists as TF-Ranking keeps them: one ExampleListWithContext (ELWC) proto per list, in TFRecord shards, text raw.

A folder holds `{train,validation,test}-00000-of-0000N.tfrecord`. The context of a list carries `query_id` and `query`
(bytes), `is_seen` and `query_count` (int64); each of its examples carries `document_id` and the text fields (bytes),
the numeric features, `label` and `weight` (float) and `position` (int64).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_ranking as tfr
from tensorflow_serving.apis import input_pb2

from tfr_listbert.registry import suggest
from tfr_listbert.schema import (
    DOCUMENT_ID,
    IS_SEEN,
    LABEL,
    PADDING_LABEL,
    POSITION,
    QUERY,
    QUERY_COUNT,
    QUERY_ID,
    RESERVED_NAMES,
    SPLITS,
    WEIGHT,
    Document,
    InputError,
    RankedList,
)

_SHARD_NAME = re.compile(r"(\d{5,})-of-(\d{5,})\.tfrecord")


def build_elwc(ranked_list: RankedList) -> input_pb2.ExampleListWithContext:
    """Returns the proto of a list; numbers are kept as float32, `split` is not kept (the shard's name says it).

    Raises:
        ValueError: if a label is not a finite number >= 0.
    """
    elwc = input_pb2.ExampleListWithContext()
    context = elwc.context.features.feature
    _set_text(context, QUERY_ID, ranked_list.query_id)
    _set_text(context, QUERY, ranked_list.query)
    context[IS_SEEN].int64_list.value.append(ranked_list.is_seen)
    context[QUERY_COUNT].int64_list.value.append(ranked_list.query_count)
    for document in ranked_list.documents:
        if not 0 <= document.label < math.inf:
            raise ValueError(
                f"A label must be a finite number >= 0, got {document.label} for the query {ranked_list.query!r} and "
                f"the document {document.document_id!r}."
            )
        example = elwc.examples.add().features.feature
        _set_text(example, DOCUMENT_ID, document.document_id)
        for name, text in document.fields.items():
            _set_text(example, name, text)
        for name, number in document.features.items():
            example[name].float_list.value.append(number)
        example[LABEL].float_list.value.append(document.label)
        example[WEIGHT].float_list.value.append(document.weight)
        example[POSITION].int64_list.value.append(document.position)
    return elwc


def parse_elwc(serialized: bytes, split: str = "") -> RankedList:
    """Returns the list in the bytes of a proto that `build_elwc` made; `split` is what the list's `split` becomes."""
    elwc = input_pb2.ExampleListWithContext.FromString(serialized)
    context = elwc.context.features.feature
    return RankedList(
        query_id=_get_value(context[QUERY_ID]),
        query=_get_value(context[QUERY]),
        documents=tuple(_parse_document(example.features.feature) for example in elwc.examples),
        query_count=_get_value(context[QUERY_COUNT]),
        is_seen=_get_value(context[IS_SEEN]),
        split=split,
    )


def _parse_document(features: Mapping[str, tf.train.Feature]) -> Document:
    values = {name: _get_value(features[name]) for name in sorted(features)}
    others = {name: value for name, value in values.items() if name not in RESERVED_NAMES}
    return Document(
        document_id=values[DOCUMENT_ID],
        fields={name: value for name, value in others.items() if isinstance(value, str)},
        label=values[LABEL],
        features={name: value for name, value in others.items() if not isinstance(value, str)},
        weight=values[WEIGHT],
        position=values[POSITION],
    )


def _set_text(features: Mapping[str, tf.train.Feature], name: str, text: str) -> None:
    features[name].bytes_list.value.append(text.encode("utf-8"))


def _get_value(feature: tf.train.Feature) -> str | float | int:
    if feature.HasField("bytes_list"):
        return feature.bytes_list.value[0].decode("utf-8")
    return (feature.float_list if feature.HasField("float_list") else feature.int64_list).value[0]


class ShardWriter:
    """Writes one split's lists into shards; a context manager.

    Shards get their names only when the `with` block ends well, since only then their number is known; if it ends in
    an exception, all of them are removed.
    """

    def __init__(self, folder: str | Path, split: str, shard_lists: int = 5000):
        """Writes to `folder`, made if missing, with `shard_lists` lists per shard.

        Raises:
            InputError: if `split` is unknown, or the folder holds shards of that split already.
        """
        _require_split(split)
        self._folder, self._split, self._shard_lists = Path(folder), split, shard_lists
        self._partial_paths: list[Path] = []
        self._writer: tf.io.TFRecordWriter | None = None
        self.lists = 0
        """Number of lists written so far."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if _find_shards(self._folder, split):
            raise InputError(f"{folder} holds {split} shards already; remove them or write to another folder.")

    def write(self, ranked_list: RankedList) -> None:
        """Appends a list."""
        if self.lists % self._shard_lists == 0:
            self._close_shard()
            self._partial_paths.append(self._folder / f".{self._split}-{len(self._partial_paths):05d}.partial")
            self._writer = tf.io.TFRecordWriter(str(self._partial_paths[-1]))
        self._writer.write(build_elwc(ranked_list).SerializeToString(deterministic=True))
        self.lists += 1

    def _close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> ShardWriter:
        """Returns the writer."""
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        """Names the shards, or removes them after an exception."""
        self._close_shard()
        for index, path in enumerate(self._partial_paths):
            if kind is None:
                path.rename(self._folder / f"{self._split}-{index:05d}-of-{len(self._partial_paths):05d}.tfrecord")
            else:
                path.unlink(missing_ok=True)


def write_shards(lists: Iterable[RankedList], folder: str | Path, split: str, shard_lists: int = 5000) -> int:
    """Writes the lists of one split to `folder` and returns their number; see `ShardWriter`."""
    with ShardWriter(folder, split, shard_lists) as writer:
        for ranked_list in lists:
            writer.write(ranked_list)
        return writer.lists


def list_shards(folder: str | Path, split: str, fields: Sequence[str] = (), features: Sequence[str] = ()) -> list[str]:
    """Returns the paths of a split's shards, in order.

    Args:
        folder: what `prepare_data` or `write_shards` wrote.
        split: `train`, `validation` or `test`.
        fields: text fields that the documents must have; looked for in the first document.
        features: numeric features that they must have; looked for likewise.

    Raises:
        InputError: if the split is unknown, the folder or a shard of it is missing, or a field or feature is.
    """
    _require_split(split)
    if not Path(folder).is_dir():
        raise InputError(f"There is no folder {folder} with prepared lists; run pipelines/prepare_data.py first.")
    found = _find_shards(Path(folder), split)
    if not found:
        present = ", ".join(list_splits(folder)) or "no lists at all"
        raise InputError(f"{folder} holds no {split} lists; it holds {present}. See `data.split`.")
    _require_complete(found, folder, split)
    paths = [str(path) for path, _, _ in found]
    if fields or features:
        _require_names(paths[0], fields, features)
    return paths


def list_splits(folder: str | Path) -> list[str]:
    """Returns the splits of which `folder` holds lists, in the order of `SPLITS`; none where there is no folder."""
    return [split for split in SPLITS if _find_shards(Path(folder), split)]


def _find_shards(folder: Path, split: str) -> list[tuple[Path, int, int]]:
    matches = {path: _SHARD_NAME.fullmatch(path.name.removeprefix(f"{split}-")) for path in folder.glob(f"{split}-*")}
    return sorted((path, int(match[1]), int(match[2])) for path, match in matches.items() if match)


def _require_split(split: str) -> None:
    if split not in SPLITS:
        raise InputError(f"There is no split {split!r}. {suggest(split, list(SPLITS))}")


def _require_complete(found: Sequence[tuple[Path, int, int]], folder: str | Path, split: str) -> None:
    count = found[0][2]
    if [(index, total) for _, index, total in found] != [(index, count) for index in range(count)]:
        raise InputError(
            f"The {split} shards in {folder} must be numbered 0 to {count - 1} of {count}, got "
            f"{', '.join(path.name for path, _, _ in found)}; run pipelines/prepare_data.py again."
        )


def _require_names(path: str, fields: Sequence[str], features: Sequence[str]) -> None:
    document = next((one.documents[0] for one in map(parse_elwc, read_records(path)) if one.documents), None)
    if document is None:
        return
    for kind, names, known in (
        ("text field", fields, list(document.fields)),
        ("numeric feature", features, list(document.features)),
    ):
        for name in names:
            if name not in known:
                raise InputError(
                    f"The lists in {path} have no {kind} {name!r}; name it in the `data` section and run "
                    f"pipelines/prepare_data.py again. {suggest(name, known)}"
                )


def read_lists(folder: str | Path, split: str) -> Iterator[RankedList]:
    """Yields the lists of a split in the order of its shards, their `split` set.

    Raises:
        InputError: as `list_shards`, and if a shard is cut or damaged.
    """
    for path in list_shards(folder, split):
        for record in read_records(path):
            yield parse_elwc(record, split)


def read_records(path: str) -> Iterator[bytes]:
    """Yields the serialized lists of a shard.

    Raises:
        InputError: if it is cut or damaged.
    """
    try:
        yield from tf.data.TFRecordDataset(path).as_numpy_iterator()
    except tf.errors.DataLossError:
        raise InputError(f"{path} is damaged or cut short; run pipelines/prepare_data.py again.") from None


def parse_lists(serialized: tf.Tensor, fields: Sequence[str], features: Sequence[str]) -> dict[str, tf.Tensor]:
    """Returns dense tensors for a batch of serialized lists; in-graph, L is the longest list of the batch.

    Args:
        serialized: [B] string, protos that `write_shards` wrote.
        fields: names of the text fields to return.
        features: names of the numeric features to return.

    Returns:
        `query`, `query_id` [B] string; `is_seen`, `query_count` [B] int64; `document_id` and each text field [B, L]
        string ("" in padding); each numeric feature [B, L] float32 (NaN where missing and in padding); `label` [B, L]
        float32 (PADDING_LABEL in padding); `weight` [B, L] float32 (0 in padding); `position` [B, L] int64 (0 in
        padding); `mask` [B, L] bool, true for documents.
    """
    text = tf.io.FixedLenFeature([], tf.string, "")
    return tfr.data.parse_from_example_list(
        serialized,
        context_feature_spec={
            QUERY_ID: text,
            QUERY: text,
            IS_SEEN: tf.io.FixedLenFeature([], tf.int64, -1),
            QUERY_COUNT: tf.io.FixedLenFeature([], tf.int64, 0),
        },
        example_feature_spec={
            DOCUMENT_ID: text,
            **{name: text for name in fields},
            **{name: tf.io.FixedLenFeature([], tf.float32, float("nan")) for name in features},
            LABEL: tf.io.FixedLenFeature([], tf.float32, PADDING_LABEL),
            WEIGHT: tf.io.FixedLenFeature([], tf.float32, 0.0),
            POSITION: tf.io.FixedLenFeature([], tf.int64, 0),
        },
        mask_feature_name="mask",
    )
