"""TensorProto <-> arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from .values import invalid

MAX_ELEMENTS = 25_000_000
"""Most values of one tensor: a message of a few bytes may name a shape that fills all memory."""

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def read_tensor(name: str, tensor: TensorProto) -> np.ndarray:
    """Returns the value of the input `name`; strings as an object array of bytes.

    Raises:
        InvalidArgumentError: if it is no tensor, or one of more than MAX_ELEMENTS values.
    """
    elements = math.prod(dim.size for dim in tensor.tensor_shape.dim)
    if elements > MAX_ELEMENTS:
        raise invalid(f"tensor parsing error: {name}: {elements} values are more than {MAX_ELEMENTS}")
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise invalid(f"tensor parsing error: {name}: {error}") from None


def build_tensor(array: np.ndarray) -> TensorProto:
    """Returns an array as TensorFlow Serving answers it: in the typed field (`float_val` and so on), not as bytes."""
    dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    if dtype not in _FIELDS:
        return tf.make_tensor_proto(array)
    values: list[Any] = array.ravel().tolist()
    shape = tf.TensorShape(array.shape).as_proto()
    return TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape, **{_FIELDS[dtype]: values})
