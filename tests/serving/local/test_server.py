"""The server as a whole ends without dropping what it has begun to answer."""

import concurrent.futures
import contextlib
import time

import pytest

from serving.local.server import open_server
from serving.remote.ranking import open_model


def test_a_grpc_call_in_flight_is_answered_before_models_are_unloaded(slow_sources):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with open_server(slow_sources, grpc_address="127.0.0.1:0") as (_, port):
            model = open_model(f"grpc://127.0.0.1:{port}", "slow", timeout_seconds=30.0)
            assert model.predict("serving_default", {"x": 3}) == {"y": 3}
            slow = pool.submit(model.predict, "serving_default", {"x": 50_000})
            time.sleep(0.05)
        with contextlib.closing(model):
            assert slow.result() == {"y": 50_000}


def test_an_address_that_cannot_be_listened_on_is_told(slow_sources):
    with (
        pytest.raises(OSError, match="cannot listen on 256.0.0.1:0 for gRPC. Choose another port"),
        open_server(slow_sources, grpc_address="256.0.0.1:0"),
    ):
        pass
