"""Dataclasses from plain values, every misspelt key and wrong type answered alike."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from tfr_listbert.config.checks import require
from tfr_listbert.registry import suggest
from tfr_listbert.schema import InputError


def build_dataclass(cls: type, values: Mapping[str, Any], path: str) -> Any:
    """Returns `cls` built from plain values, nested dataclasses and tuples included.

    Args:
        cls: a dataclass; what `__post_init__` raises as InputError should name settings without `path`.
        values: as YAML gives them.
        path: dotted place of `values` in the config, for messages.

    Raises:
        InputError: for an unknown key (with the nearest known one), a missing key or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"`{path}` must be a mapping of settings, got {values!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise InputError(f"`{_join(path, key)}` is not a setting. {suggest(str(key), list(fields))}")
    built = {key: _build_value(hints[key], value, _join(path, key)) for key, value in values.items()}
    for name, field in fields.items():
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_required and name not in built:
            raise InputError(f"`{_join(path, name)}` is required and missing.")
    return cls(**built)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _build_value(hint: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [option for option in typing.get_args(hint) if option is not type(None)]
        return value if value is None or type(value) in inner else _build_value(inner[0], value, path)
    if dataclasses.is_dataclass(hint):
        return build_dataclass(hint, {} if value is None else value, path)
    if origin is tuple:
        require(isinstance(value, Sequence) and not isinstance(value, str), path, "must be a list", value)
        inner = typing.get_args(hint)[0]
        return tuple(_build_value(inner, item, f"{path}[{index}]") for index, item in enumerate(value))
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        require(isinstance(value, Mapping), path, "must be a mapping", value)
        inner = (typing.get_args(hint) or (Any, Any))[1]
        return {str(key): _build_value(inner, item, _join(path, key)) for key, item in value.items()}
    if hint is Any:
        return value
    return _check_scalar(hint, value, path)


def _check_scalar(hint: type, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        with contextlib.suppress(ValueError):
            value = float(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_right = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    is_right = is_right and not (hint is float and not math.isfinite(value))
    names = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false"}
    require(is_right, path, f"must be {names.get(hint, hint.__name__)}", value)
    return value
