"""Files of named tensors: safetensors, and what PyTorch pickles, of which nothing but tensors is ever built."""

from __future__ import annotations

import collections
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.tensorflow
import tensorflow as tf

from tfr_listbert.schema import InputError

PICKLED_SUFFIXES = (".bin", ".pt", ".pth")
"""Endings of files that PyTorch pickled."""

_STORAGE_TYPES = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": tf.bfloat16.as_numpy_dtype,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
}


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the floating-point tensors of a file by name, as float32; others (counters, buffers) are left out.

    Args:
        path: a safetensors file, or one that PyTorch pickled, told by its ending.

    Raises:
        InputError: if the file is missing, cut short or damaged, or its pickle would make anything but tensors.
    """
    path = Path(path)
    if not path.exists():
        present = ", ".join(sorted(entry.name for entry in path.parent.glob("*"))) or "nothing"
        raise InputError(
            f"{path} is missing: `hugging_face.weights` must name a file of the folder, which has {present}."
        )
    tensors = _read_pickled(path) if path.suffix in PICKLED_SUFFIXES else _read_safetensors(path)
    return {name: array.astype(np.float32) for name, array in tensors.items() if array.dtype.kind in "fV"}


def write_weights(path: str | Path, weights: Mapping[str, np.ndarray]) -> None:
    """Writes tensors as a safetensors file that Hugging Face's library loads into PyTorch."""
    content = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    safetensors.numpy.save_file(content, str(path), metadata={"format": "pt"})


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return {name: tensor.numpy() for name, tensor in safetensors.tensorflow.load_file(str(path)).items()}
    except Exception as error:  # the library has no public base of its errors
        raise InputError(f"{path} is no whole safetensors file ({error}). Fetch or copy it again.") from None


class _TensorUnpickler(pickle.Unpickler):
    """Reads the pickle in a PyTorch archive; of all that a pickle can call, it knows tensors and dictionaries alone."""

    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(archive.open(f"{folder}data.pkl"))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            **{("torch", storage): dtype for storage, dtype in _STORAGE_TYPES.items()},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: tuple) -> np.ndarray:
        _, dtype, key, _, _ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype)


def _rebuild_tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if min((offset, last, *size, *stride)) < 0 or last >= storage.size:
        raise pickle.UnpicklingError("a tensor lies outside its data")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()


def _read_pickled(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            content = _TensorUnpickler(archive, pickled.removesuffix("data.pkl")).load()
        if not isinstance(content, Mapping):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not tensors by name")
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no whole PyTorch file of plain tensors ({error}). Fetch or copy it again, or save the model as "
            "safetensors."
        ) from None
    return {str(name): array for name, array in content.items() if isinstance(array, np.ndarray)}
