"""`score_tokens` as an ONNX model, for those who tokenize and serve elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.export.text_ranker import TextRanker
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import QUERY, TOKENS, InputError, RankedList

ONNX_FILE = "score_tokens.onnx"

OPSET = 17
"""Version of ONNX's operators; ONNX Runtime reads it since 1.12."""


def write_onnx(ranker: TextRanker, path: Path) -> None:
    """Writes a model that takes `tokens` [N, T] int32, padded, and each feature [N]; it gives `scores` [N].

    Raises:
        InputError: if tf2onnx is not installed.
    """
    try:
        import tf2onnx
    except ImportError:
        raise InputError("`export.onnx` needs tf2onnx: pip install 'tfr_listbert[onnx]', or set it to false.") from None
    specs = [tf.TensorSpec([None, None], tf.int32, TOKENS)]
    specs += [tf.TensorSpec([None], tf.float32, name) for name in ranker.features]

    @tf.function(input_signature=specs, autograph=False)
    def score(tokens: tf.Tensor, *columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": ranker.score_padded(tokens, dict(zip(ranker.features, columns, strict=True)))}

    tf2onnx.convert.from_function(score, specs, opset=OPSET, output_path=str(path))


def score_with_onnx(
    path: Path, ranker: TextRanker, builder: RequestBuilder, lists: Sequence[RankedList]
) -> list[ScoredList]:
    """Returns lists with the scores of an ONNX model in ONNX Runtime; `ranker` packs their text."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    scored = []
    for one in lists:
        inputs = builder.ask("", "rank_n", [one]).inputs
        fields = {name: tf.constant(inputs[name], tf.string) for name in ranker.fields}
        tokens = ranker.pack(tf.constant(inputs[QUERY]), fields)
        features = {name: np.array(inputs[name][0], np.float32) for name in ranker.features}
        (scores,) = session.run(["scores"], {TOKENS: tokens.numpy(), **features})
        scored.append(ScoredList.build(one, scores))
    return scored
