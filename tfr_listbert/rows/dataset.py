"""Shards to lists to batches of token rows, in an order that (run seed, epoch) decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfr_listbert.lists.elwc import list_shards, parse_lists
from tfr_listbert.rows.list_index import ListIndex
from tfr_listbert.rows.training_order import StepDeal
from tfr_listbert.schema import DOCUMENT_ID, IS_JUDGED, LABEL, QUERY, QUERY_ID, TEACHER_SCORE, WEIGHT
from tfr_listbert.text.packing import RowPacker

READ_AHEAD = 4
"""Steps that are read, and those that are tokenized, while the model works on one."""
_ONE_DOCUMENT = b"\x0a\x00"
"""The bytes of an ExampleListWithContext of one document without features."""


@dataclasses.dataclass(frozen=True)
class RowBatcher:
    """Turns serialized lists into a batch of rows; the same for training, validation and scoring.

    Attributes:
        packer: text to token rows.
        fields: text fields that the packer reads.
        features: numeric features of the model, in its order.
        is_apart: whether queries and documents make rows of their own, as a student takes them.
        has_teacher: whether the lists carry a teacher's scores, to be returned.
    """

    packer: RowPacker
    fields: tuple[str, ...]
    features: tuple[str, ...]
    is_apart: bool = False
    has_teacher: bool = False

    @property
    def read_features(self) -> tuple[str, ...]:
        """Numeric features that lists must have."""
        return (*self.features, TEACHER_SCORE, IS_JUDGED) if self.has_teacher else self.features

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, serialized: tf.Tensor, rows: Mapping[str, tf.RaggedTensor] | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the batch of `serialized` [B] string; B may be 0, the part of a replica that a step has no list for.

        Args:
            serialized: the lists.
            rows: their token rows, by kind, where they are kept; made of the text otherwise.

        Returns:
            `tokens` [N, (T)] int32 and `features` [N, F] float32, one row per document, list by list; `mask` [B, L]
            bool; `labels`, `weights` [B, L] float32; `document_keys` [B, L] int64, a hash of query and document id;
            `document_ids` [B, L] string; `query_ids` [B] string. Where queries are apart, `query_tokens` [B, (T)] int32
            too; where there is a teacher, `teacher_scores` [B, L] float32 and `is_judged` [B, L] bool.
        """
        lists = self._parse(serialized)
        mask = lists["mask"]
        columns = [tf.boolean_mask(lists[name], mask) for name in self.features]
        queries = tf.broadcast_to(lists[QUERY][:, tf.newaxis], tf.shape(mask))
        keys = tf.strings.join([queries, lists[DOCUMENT_ID]], separator="\x1f")
        return {
            **(rows or self._pack(lists)),
            "features": tf.stack(columns, axis=1) if columns else tf.zeros([tf.math.count_nonzero(mask), 0]),
            "mask": mask,
            "labels": lists[LABEL],
            "weights": lists[WEIGHT],
            "document_keys": tf.strings.to_hash_bucket_fast(keys, tf.int64.max),
            "document_ids": lists[DOCUMENT_ID],
            "query_ids": lists[QUERY_ID],
            **self._read_teacher(lists),
        }

    def _parse(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        one_more = tf.concat([serialized, [_ONE_DOCUMENT]], axis=0)  # the parser takes no less than one list
        lists = parse_lists(one_more, self.fields, self.read_features)
        return {name: values[: tf.size(serialized)] for name, values in lists.items()}

    def _pack(self, lists: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        fields, mask = {name: lists[name] for name in self.fields}, lists["mask"]
        if not self.is_apart:
            return {"tokens": self.packer.pack(lists[QUERY], fields, mask)}
        return {
            "tokens": self.packer.pack_documents(fields, mask),
            "query_tokens": self.packer.pack_queries(lists[QUERY]),
        }

    def _read_teacher(self, lists: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if not self.has_teacher:
            return {}
        return {"teacher_scores": lists[TEACHER_SCORE], "is_judged": lists[IS_JUDGED] > 0}


def build_dataset(lists: str, split: str, batcher: RowBatcher, batch_lists: int) -> tf.data.Dataset:
    """Returns one pass over a split in its stored order, in batches of at most `batch_lists` lists.

    Raises:
        InputError: as `list_shards`.
    """
    shards = list_shards(lists, split, batcher.fields, batcher.read_features)
    serialized = tf.data.TFRecordDataset(shards).batch(batch_lists)
    return serialized.map(batcher, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def build_step_dataset(
    index: ListIndex,
    batcher: RowBatcher,
    deal: StepDeal,
    first_step: int = 0,
    replicas: int = 1,
    own: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Returns the batches of all epochs over the lists of `index`, from `first_step` on.

    Args:
        index: the lists.
        batcher: makes batches of them.
        deal: which lists make which step.
        first_step: steps to leave out, because a run that goes on has made them.
        replicas: parts of each step's lists, a batch for each.
        own: the replicas whose parts are returned, one after the other; nothing else is read. All when None.
    """
    parts = tf.data.Dataset.from_tensor_slices(list(range(replicas) if own is None else own))

    types = [tf.string, *[tf.int32, tf.int64] * len(index.stores)]

    def read_part(step: tf.Tensor, replica: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.RaggedTensor]]:
        def read(number: np.ndarray, replica: np.ndarray) -> list[np.ndarray]:
            lists = deal.choose(int(number))[int(replica) :: replicas]
            return [index.read(lists), *(part for store in index.stores.values() for part in store.read(lists))]

        read_parts = tf.numpy_function(read, [step, replica], types, stateful=False)
        serialized, *stored = (tf.ensure_shape(part, [None]) for part in read_parts)
        rows = [
            tf.RaggedTensor.from_row_lengths(*pair, validate=False)
            for pair in zip(stored[::2], stored[1::2], strict=True)
        ]
        return serialized, dict(zip(index.stores, rows, strict=True))

    steps = tf.data.Dataset.range(first_step, deal.steps)
    steps = steps.flat_map(lambda step: parts.map(lambda replica: read_part(step, replica))).prefetch(READ_AHEAD)
    return steps.map(batcher, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(READ_AHEAD)
