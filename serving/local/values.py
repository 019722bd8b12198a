"""JSON values -> one-dimensional arrays by type, strictly: TensorFlow Serving coerces nothing. Pure functions."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

SHOWN_CHARACTERS = 200
"""Longest piece of a request that an error message repeats."""


def invalid(message: str) -> tf.errors.InvalidArgumentError:
    """Returns the error that becomes a 400."""
    return tf.errors.InvalidArgumentError(None, None, message)


def unknown_label(label: str) -> tf.errors.InvalidArgumentError:
    """Returns the error for a label that no model has, or not this one."""
    return invalid(f"Unrecognized servable version label: {label}")


def not_found(name: str, number: int | None) -> tf.errors.NotFoundError:
    """Returns the error that becomes a 404: a version of the model that is not served, or any when None."""
    place = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return tf.errors.NotFoundError(None, None, f"Servable not found for request: {place}")


def parse_values(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    """Returns JSON values as an array [number of values]; strings as an object array of bytes.

    Raises:
        InvalidArgumentError: for a value of another type or out of its range.
        UnimplementedError: for a type that JSON cannot carry.
    """
    if dtype not in _PARSERS:
        first = show(next(iter(leaves), None))
        message = f"Conversion of JSON Value: {first} to type: {type_name(dtype)}"
        raise tf.errors.UnimplementedError(None, None, message)
    parse, storage = _PARSERS[dtype]
    values = np.empty(len(leaves), storage)
    for index, leaf in enumerate(leaves):
        values[index] = parse(leaf, dtype)
    # TensorFlow Serving keeps the narrow integers as int32 and cuts them to size without a check.
    return values if dtype == tf.string else values.astype(dtype.as_numpy_dtype)


def _parse_string(leaf: Any, dtype: tf.DType) -> bytes:
    if isinstance(leaf, dict):
        return _parse_base64(leaf)
    if not isinstance(leaf, str):
        raise _type_error(leaf, dtype)
    try:
        return leaf.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None


def _parse_base64(leaf: dict) -> bytes:
    if not is_base64(leaf):
        raise invalid(f"JSON Value: {show(leaf)} not formatted correctly for base64 data")
    text = "".join(leaf["b64"].split())
    bare = text.rstrip("=.")
    is_padded = len(bare) < len(text)
    try:
        if is_padded and len(text) % 4:
            raise ValueError("padding")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _parse_bool(leaf: Any, dtype: tf.DType) -> bool:
    if not isinstance(leaf, bool):
        raise _type_error(leaf, dtype)
    return leaf


def _parse_float(leaf: Any, dtype: tf.DType) -> float:
    if isinstance(leaf, bool) or not isinstance(leaf, (int, float)):
        raise _type_error(leaf, dtype)
    information = np.finfo(dtype.as_numpy_dtype)
    if isinstance(leaf, float) and not math.isfinite(leaf):
        return leaf
    is_integer = isinstance(leaf, int) and -(2**63) <= leaf < 2**64
    highest = 2 ** (information.nmant + 1) - 1 if is_integer else float(information.max)
    if abs(leaf) > highest:
        raise invalid(f"Cannot convert JSON value: {show(leaf)} to {type_name(dtype)} without loss of precision.")
    return float(leaf)


def _parse_integer(lowest: int, highest: int) -> Callable[[Any, tf.DType], int]:
    def parse(leaf: Any, dtype: tf.DType) -> int:
        if isinstance(leaf, bool) or not isinstance(leaf, int) or not lowest <= leaf <= highest:
            raise _type_error(leaf, dtype)
        return leaf

    return parse


_PARSE_INT32 = (_parse_integer(-(2**31), 2**31 - 1), np.int32)
_PARSERS: dict[tf.DType, tuple[Callable[[Any, tf.DType], Any], Any]] = {
    tf.string: (_parse_string, object),
    tf.bool: (_parse_bool, bool),
    tf.float32: (_parse_float, np.float64),
    tf.float64: (_parse_float, np.float64),
    tf.int8: _PARSE_INT32,
    tf.uint8: _PARSE_INT32,
    tf.int16: _PARSE_INT32,
    tf.int32: _PARSE_INT32,
    tf.int64: (_parse_integer(-(2**63), 2**63 - 1), np.int64),
    tf.uint32: (_parse_integer(0, 2**32 - 1), np.uint32),
    tf.uint64: (_parse_integer(0, 2**64 - 1), np.uint64),
}


def is_base64(value: Any) -> bool:
    """Says whether a JSON value is a string in base64: `{"b64": "..."}` and nothing more."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _type_error(leaf: Any, dtype: tf.DType) -> tf.errors.InvalidArgumentError:
    kinds = {type(None): "Null", bool: str(leaf), dict: "Object", str: "String"}
    kind = kinds.get(type(leaf), "Number")
    return invalid(f"JSON Value: {show(leaf)} Type: {kind} is not of expected type: {type_name(dtype)}")


def type_name(dtype: tf.DType) -> str:
    """Returns a type's name as TensorFlow Serving writes it."""
    return {tf.float16: "half", tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)


def show(value: Any) -> str:
    """Returns the beginning of a JSON value as an error message repeats it."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "(nested too deep to show)"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
