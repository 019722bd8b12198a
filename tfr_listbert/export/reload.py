"""Answers requests from a SavedModel in a session, as TensorFlow Serving would.

Usage, for a process that holds nothing else: python -m tfr_listbert.export.reload FOLDER ASKED.json ANSWERED.json
"""

from __future__ import annotations

import base64
import json
import re
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the kernels of its ops

TIMED_RUNS = 7
"""Measured runs of each timed request, after one that is not."""

SLOW_SECONDS = 0.5
"""Requests that follow a slower one are not timed: they are longer still, and no search waits for them."""


class ReloadedModel:
    """A SavedModel in a session; lives as a `with` block."""

    def __init__(self, folder: str | Path):
        """Loads the SavedModel in `folder`."""
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        logger = tf.get_logger()
        level = logger.level
        logger.setLevel("ERROR")  # it warns of the one loader that runs a model as TensorFlow Serving does
        try:
            with self._session.graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        except BaseException:
            self._session.close()
            raise
        finally:
            logger.setLevel(level)
        self._signatures = loaded.signature_def

    def __enter__(self) -> ReloadedModel:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Frees the session."""
        self._session.close()

    def list_inputs(self, signature_name: str) -> list[str]:
        """Returns the names of a signature's inputs."""
        return list(self._signatures[signature_name].inputs)

    def ask(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name.

        Args:
            signature_name: the signature.
            inputs: by name, as nested lists; bytes as `{"b64": ...}`.

        Raises:
            InvalidArgumentError: if signature or input is missing, or the graph refuses the inputs.
        """
        if signature_name not in self._signatures:
            raise tf.errors.InvalidArgumentError(None, None, f"no signature {signature_name!r}")
        signature = self._signatures[signature_name]
        if inputs.keys() != signature.inputs.keys():
            raise tf.errors.InvalidArgumentError(None, None, f"{signature_name} needs {sorted(signature.inputs)}")
        feeds = {
            info.name: build_array(inputs[name], tf.as_dtype(info.dtype)) for name, info in signature.inputs.items()
        }
        return self._session.run({name: info.name for name, info in signature.outputs.items()}, feeds)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Returns `{"outputs": ...}` as nested lists, or `{"error": canonical code}`, to a request."""
        try:
            outputs = self.ask(request["signature_name"], request["inputs"])
        except tf.errors.OpError as error:
            names = {code: name for name, code in vars(tf.errors).items() if name.isupper()}
            return {"error": names[error.error_code], "message": error.message}
        return {"outputs": {name: _to_text(value.tolist()) for name, value in outputs.items()}}

    def time(self, requests: Iterable[Mapping[str, Any]]) -> list[float]:
        """Returns the median seconds of each request, up to and with the first that is slow."""
        medians: list[float] = []
        for request in requests:
            if medians and medians[-1] > SLOW_SECONDS:
                break
            runs = [self._time_once(request) for _ in range(TIMED_RUNS + 1)]
            medians.append(statistics.median(runs[1:]))
        return medians

    def _time_once(self, request: Mapping[str, Any]) -> float:
        start = time.perf_counter()
        self.ask(request["signature_name"], request["inputs"])
        return time.perf_counter() - start


def build_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """Returns a request's input, nested lists with bytes as `{"b64": ...}`, as an array; text stays `str`."""
    return np.array(_decode(value), dtype.as_numpy_dtype)


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _to_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_text(item) for item in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _measure_peak() -> int:
    """Returns the largest memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) // 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # on Linux that of the parent, if it had more


if __name__ == "__main__":
    _, _folder, _asked, _answered = sys.argv
    _work = json.loads(Path(_asked).read_text())
    _before = _measure_peak()
    with ReloadedModel(_folder) as _model:
        _done = {"answers": [_model.answer(request) for request in _work["requests"]]}
        _done["seconds"] = _model.time(_work["timed"])
    Path(_answered).write_text(json.dumps({**_done, "mebibytes": _measure_peak() - _before}))
