"""JSON bodies <-> tensors, by the rules of TensorFlow Serving's `json_tensor.cc`. Pure functions.

Errors are the `tf.errors` of the status that TensorFlow Serving answers; `rest.py` turns them into HTTP codes.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .values import invalid, is_base64, parse_values, show, type_name

MAX_RANK = 32
"""Deepest nesting of lists; NumPy's limit."""

BYTES_SUFFIX = "_bytes"
"""String outputs whose name ends so are answered as {"b64": ...}."""


def parse_json(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in a request body.

    Bytes that are not UTF-8 pass through strings unchanged, as they do in TensorFlow Serving; `NaN` and `Infinity`
    are numbers.

    Raises:
        InvalidArgumentError: if the body is no JSON object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        document = json.loads(text, parse_float=_parse_decimal)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {show(document)} Is not object")
    return document


def parse_signature_name(document: Mapping[str, Any]) -> str:
    """Returns the name of the signature that a request asks for, `serving_default` if it names none.

    Raises:
        InvalidArgumentError: if the name is not a string, or not UTF-8, as every signature's name is.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {show(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        readable = name.encode("utf-8", "replace").decode()
        raise invalid(f'Serving signature name: "{readable}" not found in signature def') from None
    return name or "serving_default"


def parse_inputs(document: Mapping[str, Any], dtypes: Mapping[str, tf.DType]) -> tuple[dict[str, np.ndarray], bool]:
    """Returns the tensors in a predict request.

    Args:
        document: the request's JSON object, with `instances` (row format) or `inputs` (columnar format).
        dtypes: type of each input of the signature.

    Returns:
        The arrays by input name, strings as object arrays of bytes; and whether the request is in row format.

    Raises:
        InvalidArgumentError: if the request breaks the format or a value is of another type; nothing is coerced.
        UnimplementedError: for an input type that JSON cannot carry.
    """
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return _parse_rows(document["instances"], dtypes), True
    if "inputs" in document:
        return _parse_columns(document["inputs"], dtypes), False
    raise invalid("Missing 'inputs' or 'instances' key")


def format_outputs(outputs: Mapping[str, np.ndarray], is_row: bool) -> bytes:
    """Returns the answer's body: `{"predictions": ...}` in row format, `{"outputs": ...}` in columnar format.

    Raises:
        InvalidArgumentError: for a type that JSON cannot carry (half, bfloat16), or in row format for outputs that
            do not share their first dimension.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if is_row:
        _check_rows(outputs)
    plain = {name: _plain(name, array) for name, array in outputs.items()}
    if len(plain) == 1:
        (answer,) = plain.values()
    elif is_row:
        answer = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    else:
        answer = plain
    text = json.dumps({"predictions" if is_row else "outputs": answer}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _parse_rows(rows: Any, dtypes: Mapping[str, tf.DType]) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise invalid("Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid("No values in 'instances' array")
    is_named = _is_named(rows[0])
    if not is_named and len(dtypes) > 1:
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required")
    for index, row in enumerate(rows):
        if _is_named(row) != is_named:
            expected = "object but got list" if is_named else "value/list but got object"
            raise invalid(f"Expecting {expected} at item {index} of input list")
        if is_named and row.keys() != dtypes.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {show(row)} "
                f"keys must be equal to: {','.join(sorted(dtypes))}"
            )
    if not is_named:
        (name,) = dtypes
        return {name: _parse_tensor(rows, dtypes[name])}
    return {name: _parse_tensor([row[name] for row in rows], dtype) for name, dtype in dtypes.items()}


def _parse_columns(columns: Any, dtypes: Mapping[str, tf.DType]) -> dict[str, np.ndarray]:
    if not _is_named(columns):
        if len(dtypes) > 1:
            raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required")
        (name,) = dtypes
        return {name: _parse_tensor(columns, dtypes[name])}
    for name in dtypes:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _parse_tensor(columns[name], dtype) for name, dtype in dtypes.items()}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _parse_tensor(value: Any, dtype: tf.DType) -> np.ndarray:
    shape = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    if len(shape) > MAX_RANK:
        raise invalid(f"Encountered lists nested {len(shape)} deep, expected at most {MAX_RANK}")
    leaves: list[Any] = []
    _flatten(value, shape, 0, leaves)
    return parse_values(leaves, dtype).reshape(shape)


def _flatten(value: Any, shape: Sequence[int], level: int, leaves: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {show(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        leaves.append(value)
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _flatten(item, shape, level + 1, leaves)


def _parse_decimal(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("Number too big to be stored in double.")
    return value


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    rows = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information")
        if len(array) < 1:
            raise invalid(f"Tensor name: {name} has invalid batch size: {len(array)}")
        if rows is not None and len(array) != rows:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)


def _plain(name: str, array: np.ndarray) -> Any:
    if array.dtype == np.float32:
        # The shortest decimals that give the same float32, as TensorFlow Serving writes them: 0.2, not 0.2000000030.
        return array.astype("U32").astype(np.float64).tolist()
    if array.dtype == np.float64 or array.dtype.kind in "iub":
        return array.tolist()
    if array.dtype == object:
        return _plain_strings(array.tolist(), is_bytes=name.endswith(BYTES_SUFFIX))
    raise invalid(f"Failed to write JSON value for tensor type: {type_name(tf.as_dtype(array.dtype))}")


def _plain_strings(value: Any, is_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_plain_strings(item, is_bytes) for item in value]
    if is_bytes:
        return {"b64": base64.b64encode(value).decode("ascii")}
    return value.decode("utf-8", "surrogateescape")
