"""A model's versions: loaded from `<base path>/<number>/`, swapped without dropping a request.

A version is run as TensorFlow Serving runs it: a session over the SavedModel's graph, fed by signature.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the SentencePiece kernels that exported rankers use
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from .sources import ModelSource, find_versions
from .values import invalid, not_found, type_name, unknown_label
from .warmup import warm_up

LOGGER = logging.getLogger("serving.local")

WARMUP_SECONDS = 600.0
"""Longest run of one warm-up request."""


class LoadedVersion:
    """One version of a model, ready to answer. Thread-safe."""

    def __init__(self, folder: Path, number: int):
        """Loads the SavedModel in `folder` and warms it up.

        Raises:
            OSError, tf.errors.OpError: if it is no SavedModel or does not load, or a warm-up request fails.
        """
        self.number = number
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                self._meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
            warm_up(folder, lambda name, inputs: self.predict(name, inputs, WARMUP_SECONDS))
        except BaseException:
            self._session.close()
            raise
        self._users = 0
        self._is_idle = threading.Condition()

    @property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """The SavedModel's SignatureDef by name."""
        return self._meta_graph.signature_def

    def get_signature(self, name: str) -> SignatureDef:
        """Returns the SignatureDef called `name`.

        Raises:
            InvalidArgumentError: if there is none.
        """
        if name not in self.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return self.signatures[name]

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], timeout_seconds: float
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name, strings as object arrays of bytes.

        Raises:
            OpError: what the graph answered; InvalidArgumentError for a tensor of another type than the signature's, or
                of a shape that it excludes.
        """
        signature = self.get_signature(signature_name)
        if inputs.keys() != signature.inputs.keys():
            expected = ", ".join(sorted(signature.inputs))
            raise invalid(f"{signature_name} takes {expected}; got {sorted(inputs)}")
        for name, array in inputs.items():
            _require_type(name, array, tf.as_dtype(signature.inputs[name].dtype))
        feeds = {signature.inputs[name].name: array for name, array in inputs.items()}
        fetches = {name: info.name for name, info in signature.outputs.items()}
        options = tf.compat.v1.RunOptions(timeout_in_ms=max(1, round(timeout_seconds * 1000)))
        try:
            outputs = self._session.run(fetches, feeds, options=options)
        except ValueError as error:  # the feed's shape, which a session checks in Python
            raise invalid(str(error)) from None
        return {name: _as_array(value) for name, value in outputs.items()}

    @contextlib.contextmanager
    def in_use(self) -> Iterator[LoadedVersion]:
        """Keeps the version open for the length of a request; enter it under the lock under which it was found."""
        with self._is_idle:
            self._users += 1
        try:
            yield self
        finally:
            with self._is_idle:
                self._users -= 1
                self._is_idle.notify_all()

    def close(self) -> None:
        """Waits for the requests in flight and frees the session."""
        with self._is_idle:
            self._is_idle.wait_for(lambda: self._users == 0)
        self._session.close()


class Model:
    """A model's versions as they come and go. Thread-safe."""

    def __init__(self, source: ModelSource):
        """Makes the model without any version; `refresh` loads them."""
        self.source = source
        self._lock = threading.Lock()
        self._loaded: dict[int, LoadedVersion] = {}
        self._statuses: dict[int, ModelVersionStatus] = {}
        self._failed: dict[int, int] = {}  # modification time of each folder that did not load

    def refresh(self, source: ModelSource | None = None) -> None:
        """Loads versions that are new, then moves the labels, then unloads those that are no longer wanted.

        As TensorFlow Serving does, it refuses a source with a label in use on another version that is not loaded
        (`ServerCore::UpdateModelVersionLabelMap`), and goes on with the source before.

        Args:
            source: where the versions are from now on; where they were when None.
        """
        wanted = self._load_wanted(self.source)
        if source is not None and source != self.source:
            if unready := self._find_unready(source):
                LOGGER.error(
                    "Model %s: the new settings are refused until %s is loaded: a label in use is to move to it. If it "
                    "is not among the `versions` that are served, first add it there and leave the label where it was.",
                    source.name,
                    unready,
                )
            else:
                with self._lock:
                    self.source = source
                wanted = self._load_wanted(source)
        if not wanted or any(number in self._loaded for number in wanted):
            for number in [number for number in self._loaded if number not in wanted]:
                self._unload(number)

    @contextlib.contextmanager
    def use(self, number: int | None = None, label: str | None = None) -> Iterator[LoadedVersion]:
        """Gives the version with that number or label, the newest one without, and keeps it open meanwhile.

        Raises:
            NotFoundError: if no such version is loaded.
            InvalidArgumentError: for an unknown label.
        """
        with contextlib.ExitStack() as stack:
            with self._lock:
                if label is not None:
                    number = self._find_label(label)
                wanted = max(self._loaded, default=None) if number is None else number
                if wanted not in self._loaded:
                    raise not_found(self.source.name, number)
                version = stack.enter_context(self._loaded[wanted].in_use())
            yield version

    def statuses(self, number: int | None = None) -> list[ModelVersionStatus]:
        """Returns the state of one version, or of every version seen so far, the newest first.

        Raises:
            NotFoundError: if there is none.
        """
        with self._lock:
            chosen = [self._statuses[key] for key in sorted(self._statuses, reverse=True) if number in (None, key)]
        if not chosen:
            what = "any versions" if number is None else f"version {number}"
            raise tf.errors.NotFoundError(None, None, f"Could not find {what} of model {self.source.name}")
        return chosen

    def require_version(self) -> None:
        """Checks that a version is loaded.

        Raises:
            FailedPreconditionError: if none is; the message says why.
        """
        if not self._loaded:
            reasons = [f"version {status.version}: {status.status.error_message}" for status in self._statuses.values()]
            place = f"model {self.source.name!r} has no version under {self.source.base_path} that loads"
            raise tf.errors.FailedPreconditionError(None, None, "; ".join([place, *reasons]))

    def close(self) -> None:
        """Unloads every version."""
        for number in list(self._loaded):
            self._unload(number)

    def _find_label(self, label: str) -> int:
        if label not in self.source.labels:
            raise unknown_label(label)
        return self.source.labels[label]

    def _find_unready(self, source: ModelSource) -> int | None:
        """Returns a version that is not loaded, to which a label in use would move; None if there is none."""
        before = self.source.labels
        moved = [number for label, number in source.labels.items() if before.get(label, number) != number]
        return next((number for number in moved if number not in self._loaded), None)

    def _load_wanted(self, source: ModelSource) -> dict[int, Path]:
        """Loads the versions of `source` that are new, and returns the folders of all."""
        wanted = _find_wanted(source)
        for number, folder in wanted.items():
            if number not in self._loaded and self._failed.get(number) != _find_changed(folder):
                self._load(number, folder)
        return wanted

    def _load(self, number: int, folder: Path) -> None:
        self._set_status(number, ModelVersionStatus.LOADING)
        changed = _find_changed(folder)
        try:
            version = LoadedVersion(folder, number)
        except Exception as error:  # whatever a folder holds, the other versions serve on
            LOGGER.error("Model %s version %d did not load: %s", self.source.name, number, error)
            self._failed[number] = changed  # tried again when more of it has arrived
            self._set_status(
                number, ModelVersionStatus.END, getattr(error, "error_code", tf.errors.UNKNOWN), str(error)
            )
            return
        with self._lock:
            self._loaded[number] = version
        self._set_status(number, ModelVersionStatus.AVAILABLE)
        LOGGER.info("Model %s version %d is available.", self.source.name, number)

    def _unload(self, number: int) -> None:
        with self._lock:
            version = self._loaded.pop(number)
        self._set_status(number, ModelVersionStatus.UNLOADING)
        version.close()
        self._set_status(number, ModelVersionStatus.END)
        LOGGER.info("Model %s version %d is unloaded.", self.source.name, number)

    def _set_status(self, number: int, state: int, code: int = 0, message: str = "") -> None:
        status = ModelVersionStatus(version=number, state=state)
        status.status.error_code = code
        status.status.error_message = message
        with self._lock:
            self._statuses[number] = status


def _find_changed(folder: Path) -> int:
    """Returns when anything in a folder was changed last, in nanoseconds since 1970."""
    changed = 0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # it may go while this looks
            changed = max(changed, path.lstat().st_mtime_ns)
    return changed


def _find_wanted(source: ModelSource) -> dict[int, Path]:
    found = find_versions(source.base_path)
    if source.versions:
        return {number: found[number] for number in source.versions if number in found}
    return {number: found[number] for number in sorted(found, reverse=True)[: source.newest]}


def _require_type(name: str, array: np.ndarray, expected: tf.DType) -> None:
    """Checks a type that a session would convert to, and TensorFlow Serving does not."""
    dtype = tf.as_dtype(array.dtype)
    if dtype != expected:
        raise invalid(f"Expects {name} to be {type_name(expected)} but {type_name(dtype)} is provided")


def _as_array(value: object) -> np.ndarray:
    return np.asarray(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)
