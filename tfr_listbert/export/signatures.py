"""The signatures of what is exported: their names, and the inputs of each.

In every signature dim 0 is lists, of ROW_SIGNATURES rows, so that a server may join requests along it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfr_listbert.schema import DOCUMENT_IDS, NUM_DOCUMENTS, QUERY, RESULTS, TOKENS

DEFAULT_SIGNATURE = "serving_default"
PROTO_SIGNATURE = "predict"

TEXT_SIGNATURES = (DEFAULT_SIGNATURE, "rank", "rank_n")
"""Signatures that take raw text and score every document."""

ROW_SIGNATURES = frozenset({"score_tokens", "encode_document"})
"""Signatures whose dim 0 is rows, one per document; of all others it is lists."""

Inputs = Mapping[str, tf.TensorSpec]
"""Inputs of a signature by name."""


def specify_ranker(fields: Sequence[str], features: Sequence[str]) -> dict[str, Inputs]:
    """Returns the inputs of a ranker's signatures, by signature.

    - `serving_default`, `rank`: `query` [B], each field [B, L] and each feature [B, L];
    - `rank_n`: `num_documents` [B] int32 beside. It alone is safe where the server pads lists of different length, and
      it scores documents without text;
    - `score_tokens`: `tokens` [N, T] int32 and each feature [N];
    - `predict`: `inputs` [B], serialized ExampleListWithContext; it, too, scores documents without text.
    """
    rows = {TOKENS: tf.TensorSpec([None, None], tf.int32), **_specify(features, [None], tf.float32)}
    return {**_specify_text(fields, features), "score_tokens": rows}


def specify_student(fields: Sequence[str], features: Sequence[str], has_vectors: bool) -> dict[str, Inputs]:
    """Returns the inputs of a student's signatures, by signature: a ranker's but `score_tokens`, and

    - `encode_query`: `query` [B];
    - `encode_document`: each field [N];
    - with stored vectors `rank_ids`: `query` [B] and `document_ids` [B, L]; and `search`: `query` [B] and `results` [B]
      int32.
    """
    query = _specify([QUERY], [None], tf.string)
    apart = {"encode_query": query, "encode_document": _specify(fields, [None], tf.string)}
    by_id = {"rank_ids": {**query, **_IDS}, "search": {**query, RESULTS: tf.TensorSpec([None], tf.int32)}}
    return {**_specify_text(fields, features), **apart, **(by_id if has_vectors else {})}


def specify_cascade(student: Mapping[str, Inputs], fields: Sequence[str], features: Sequence[str]) -> dict[str, Inputs]:
    """Returns the inputs of a cascade's signatures, by signature: its student's, those on text with the teacher's, and

    - with stored vectors `cascade_ids`: `query` [B], `document_ids`, each field and each feature [B, L].
    """
    text = _specify_text(fields, features)
    both = {"cascade_ids": {**text["rank"], **_IDS}} if "rank_ids" in student else {}
    return {**student, **text, **both}


_IDS = {DOCUMENT_IDS: tf.TensorSpec([None, None], tf.string)}


def _specify_text(fields: Sequence[str], features: Sequence[str]) -> dict[str, Inputs]:
    text = {
        **_specify([QUERY], [None], tf.string),
        **_specify(fields, [None, None], tf.string),
        **_specify(features, [None, None], tf.float32),
    }
    counted = {**text, NUM_DOCUMENTS: tf.TensorSpec([None], tf.int32)}
    protos = {"inputs": tf.TensorSpec([None], tf.string)}
    return {DEFAULT_SIGNATURE: text, "rank": text, "rank_n": counted, PROTO_SIGNATURE: protos}


def _specify(names: Sequence[str], shape: Sequence[None], dtype: tf.DType) -> dict[str, tf.TensorSpec]:
    return {name: tf.TensorSpec(shape, dtype) for name in names}
