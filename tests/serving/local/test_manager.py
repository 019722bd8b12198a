"""A manager serves what its sources say, as they change."""

import contextlib
import time

import pytest
import tensorflow as tf
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from serving.contract.requests import MODEL
from serving.local.manager import ModelManager
from serving.local.sources import ModelSource
from serving.local.versions import Model


@pytest.fixture
def follow(contract_sources):
    """A manager of the contract's two versions, and the sources that it reads; change them to have it follow."""
    base = contract_sources[0].base_path
    sources = [ModelSource(MODEL, base, (1, 2), {"stable": 1})]

    def read():
        if not sources:
            raise ValueError("mistyped")
        return list(sources)

    with ModelManager(read(), 0.01, read) as manager:
        yield manager, sources, base


def ask(manager, name=MODEL, **choice):
    with manager.use(name, **choice) as version:
        return version.number


def wait_until(is_so):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(tf.errors.OpError):
            if is_so():
                return
        time.sleep(0.01)
    raise AssertionError("it did not come about within 20 seconds")


def test_labels_and_versions_follow(follow):
    manager, sources, base = follow
    assert ask(manager, label="stable") == 1
    sources[0] = ModelSource(MODEL, base, (2,), {"stable": 2})
    wait_until(lambda: ask(manager, label="stable") == 2)
    wait_until(lambda: manager.statuses(MODEL, 1)[0].state == ModelVersionStatus.END)
    with pytest.raises(tf.errors.NotFoundError):
        ask(manager, number=1)


def test_models_come_and_go(follow):
    manager, sources, base = follow
    sources[0] = ModelSource("other", base)
    wait_until(lambda: ask(manager, "other") == 2)
    with pytest.raises(tf.errors.NotFoundError):
        ask(manager)


def test_sources_that_cannot_be_read_change_nothing(follow, caplog):
    manager, sources, base = follow
    sources.clear()
    wait_until(lambda: "mistyped" in caplog.text)
    assert ask(manager, label="stable") == 1
    sources.append(ModelSource(MODEL, base, (1, 2), {"stable": 2}))
    wait_until(lambda: ask(manager, label="stable") == 2)


def test_model_that_cannot_be_looked_at_stops_no_other(follow, caplog, monkeypatch):
    manager, sources, base = follow
    refresh = Model.refresh

    def fail(model, source):
        if source.name == "broken":
            raise TypeError("out of order")
        refresh(model, source)

    monkeypatch.setattr(Model, "refresh", fail)
    sources[:] = [ModelSource("broken", base), ModelSource(MODEL, base, (1, 2), {"stable": 2})]
    wait_until(lambda: ask(manager, label="stable") == 2)
    assert "Model broken could not be polled: TypeError: out of order" in caplog.text
