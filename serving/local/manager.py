"""The models of a server, and the thread that follows what is to be served."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from .sources import ModelSource
from .values import not_found, unknown_label
from .versions import LoadedVersion, Model

LOGGER = logging.getLogger("serving.local")


class ModelManager:
    """All models of a server, and the thread that polls for their new versions; lives as a `with` block."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        poll_seconds: float = 1.0,
        read_sources: Callable[[], Sequence[ModelSource]] | None = None,
    ):
        """Makes the models; the `with` block loads them.

        Args:
            sources: the models.
            poll_seconds: time between two looks.
            read_sources: gives the models as they are at each look; raises ValueError where they are not to be
                changed. They stay as they are when None.
        """
        self._models = {source.name: Model(source) for source in sources}
        self._read_sources = read_sources or (lambda: sources)
        self._poll_seconds = poll_seconds
        self._is_stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="version-poller", daemon=True)

    def __enter__(self) -> ModelManager:
        """Loads the first versions and starts to poll.

        Raises:
            FailedPreconditionError: if a model has no version that loads.
        """
        for model in self._models.values():
            model.refresh()
            model.require_version()
        self._poller.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops to poll and unloads everything, once requests in flight are answered."""
        self._is_stopping.set()
        self._poller.join()
        for model in self._models.values():
            model.close()

    def statuses(self, name: str, number: int | None = None) -> list[ModelVersionStatus]:
        """Returns the state of one version of the model called `name`, or of every version seen so far,
        the newest first.

        Raises:
            NotFoundError: if there is none.
        """
        model = self._models.get(name)  # asked once: the poller may replace what is served meanwhile
        if model is None:
            raise tf.errors.NotFoundError(None, None, f"Could not find any versions of model {name}")
        return model.statuses(number)

    @contextlib.contextmanager
    def use(self, name: str, number: int | None = None, label: str | None = None) -> Iterator[LoadedVersion]:
        """Gives a version of the model called `name`, as `Model.use` does.

        Raises:
            NotFoundError: if no such model or version is loaded.
            InvalidArgumentError: if no such label is set, or both number and label are given.
        """
        model = self._models.get(name)
        if model is None and label is not None:
            raise unknown_label(label)
        if model is None:
            raise not_found(name, number)
        with model.use(number, label) as version:
            yield version

    def _poll(self) -> None:
        while not self._is_stopping.wait(self._poll_seconds):
            try:
                self._follow(self._read_sources())
            except (OSError, ValueError) as error:
                LOGGER.warning("What is to be served could not be read: %s", error)

    def _follow(self, sources: Sequence[ModelSource]) -> None:
        before = self._models
        self._models = {source.name: before.get(source.name) or Model(source) for source in sources}
        for source in sources:
            try:
                self._models[source.name].refresh(source)
            except Exception as error:  # such as a folder that vanished meanwhile; the next round sees it as it is
                LOGGER.warning("Model %s could not be polled: %s: %s", source.name, type(error).__name__, error)
        for name in before.keys() - self._models.keys():
            before[name].close()
