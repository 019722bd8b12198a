"""The models that the contract's table asks: a toy with a signature for every line of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from .requests import MODEL


def _column(dtype: tf.DType, name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None], dtype, name)


class ContractModel(tf.Module):
    """Answers `x / 2 + offset`, and through its other signatures every type and shape that JSON carries."""

    def __init__(self, offset: float):
        """Makes the model; versions differ by their offset."""
        super().__init__()
        self._offset = tf.Variable(offset)

    def build_signatures(self) -> dict[str, Callable]:
        """Returns the signatures by name, as `tf.saved_model.save` takes them."""
        x = _column(tf.float32, "x")
        table: dict[str, tuple[Callable[..., Mapping[str, tf.Tensor]], list[tf.TensorSpec]]] = {
            "serving_default": (lambda x: {"y": x / 2 + self._offset}, [x]),
            "identity": (lambda x: {"y": tf.identity(x)}, [x]),
            "matrix": (lambda x: {"y": tf.identity(x)}, [tf.TensorSpec([None, None], tf.float32, "x")]),
            "scalar": (lambda x: {"y": tf.identity(x)}, [tf.TensorSpec([], tf.float32, "x")]),
            "sum": (lambda x: {"y": tf.reduce_sum(x)}, [x]),
            "uneven": (lambda x: {"one": tf.identity(x), "two": tf.concat([x, x], 0)}, [x]),
            "by_zero": (lambda x: {"y": x / tf.zeros_like(x)}, [x]),
            "half_input": (lambda x: {"y": tf.cast(x, tf.float32)}, [_column(tf.float16, "x")]),
            "half": (lambda x: {"y": tf.cast(x, tf.float16)}, [x]),
            "picky": (_refuse_above_ten, [x]),
            "pair": (_sum_pair, [tf.TensorSpec([None, None], tf.float32, "a"), _column(tf.int32, "b")]),
            "text": (_echo_text, [_column(tf.string, "text")]),
            "types": (_echo, [_column(tf.as_dtype(name), name) for name in ("double", "int64", "uint8", "bool")]),
        }
        return {name: tf.function(call, input_signature=specs) for name, (call, specs) in table.items()}


def _refuse_above_ten(x: tf.Tensor) -> dict[str, tf.Tensor]:
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x <= 10), ["x must be at most ten"])]):
        return {"y": tf.identity(x)}


def _sum_pair(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"total": tf.reduce_sum(a, 1) + tf.cast(b, tf.float32), "count": tf.identity(b)}


def _echo_text(text: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"text": tf.identity(text), "raw_bytes": tf.identity(text)}


def _echo(double: tf.Tensor, int64: tf.Tensor, uint8: tf.Tensor, bool: tf.Tensor) -> dict[str, tf.Tensor]:
    outputs = {"double": double, "int64": int64, "uint8": uint8, "bool": bool}
    return {name: tf.identity(value) for name, value in outputs.items()}


def write_contract_models(folder: str | Path) -> Path:
    """Writes versions 1 and 2 of the model that the table asks with a monitoring.config, and returns the path of their
    models.config."""
    base = Path(folder).absolute() / MODEL
    for version in (1, 2):
        model = ContractModel(float(version))
        tf.saved_model.save(model, str(base / str(version)), signatures=model.build_signatures())
    monitoring = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'
    (base.parent / "monitoring.config").write_text(monitoring)
    config = base.parent / "models.config"
    config.write_text(
        f"""model_config_list {{
  config {{
    name: "{MODEL}"
    base_path: "{base}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary" value: 2 }}
  }}
}}
"""
    )
    return config
