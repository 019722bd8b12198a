"""What the local server costs over the bare SavedModel, and what it bears: requests per second and percentiles.

Usage: python -m benchmarks.serving [runs/export/ranker/1] [--documents 30] [--seconds 5] [--clients 1 8 32]

Starts the server on the bundle in a process of its own and asks it over REST and gRPC with one request, encoded once.
The overhead is measured first: bare call, REST and gRPC in turn, so that whatever slows the machine slows all three.
"""

from __future__ import annotations

import argparse
import contextlib
import http
import http.client
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from benchmarks.tables import (
    Claim,
    describe_machine,
    format_claims,
    measure_load,
    print_header,
    print_row,
    time_call,
)
from serving.remote.golden import find_bundle, read_golden_requests
from serving.remote.grpc_model import build_tensor
from tfr_listbert.export.reload import ReloadedModel

GOAL_MILLISECONDS = 2.0
"""What the server may add to the bare call at p50."""

REASON = """\
Why a goal is missed: the call of a larger model keeps all cores busy, and the server's own work waits for one of them.
Beside the 9 to 11 ms of a `tiny` ranker REST adds 1.5 to 1.7 ms, gRPC 1.0 to 1.4
(`python -m benchmarks.serving runs/shop/served/shop_ranker`)."""

Call = Callable[[], Any]
BARE = "bare"
NAME = "ranker"
ROUNDS, TURNS = 5, 40
"""Rounds of the overhead, and calls of each kind in one."""


def read_inputs(bundle: Path, documents: int) -> dict[str, Any]:
    """Returns the inputs of `serving_default` for one list, cut out of the bundle's largest golden request."""
    (golden,) = [one for one in read_golden_requests(bundle) if one.name == "serving_default: 1000 documents"]
    return {name: value if name == "query" else [value[0][:documents]] for name, value in golden.inputs.items()}


@contextlib.contextmanager
def run_server(bundle: Path) -> Iterator[tuple[str, str]]:
    """Runs the local server on the bundle; gives its REST URL and its gRPC address."""
    command = [sys.executable, "serving/local_server.py", "--model", f"{NAME}={bundle.parent}"]
    command += ["--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            found = re.search(r"(http://[\d.:]+)/.* grpc://([\d.:]+\d)", server.stdout.readline())
            yield found[1], found[2]
        finally:
            server.terminate()


def build_rest_call(url: str, inputs: Mapping[str, Any]) -> Call:
    """Returns a call over a connection of its own; by the plainest client, lest the server be charged with it."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    body = json.dumps({"inputs": inputs}).encode()

    def call() -> None:
        connection.request("POST", f"/v1/models/{NAME}:predict", body)
        with connection.getresponse() as response:
            answer = response.read()
            if response.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{url} answered {response.status}: {answer[:200]!r}")

    return call


def build_grpc_call(address: str, inputs: Mapping[str, Any]) -> Call:
    """Returns a call over a channel of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    stub = PredictionServiceStub(grpc.insecure_channel(address, options=options))
    dtypes = {name: "DT_STRING" if isinstance(_get_leaf(value), str) else "DT_FLOAT" for name, value in inputs.items()}
    request = PredictRequest(inputs={name: build_tensor(value, dtypes[name]) for name, value in inputs.items()})
    request.model_spec.name = NAME
    return lambda: stub.Predict(request, timeout=60)


def _get_leaf(value: Any) -> Any:
    return _get_leaf(value[0]) if isinstance(value, list) else value


def measure_overhead(calls: Mapping[str, Call]) -> dict[str, list[float]]:
    """Returns the median milliseconds of each call in each of ROUNDS rounds, all calls taken in turn."""
    for call in calls.values():
        call()
    medians: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        turns = [{name: time_call(call) for name, call in calls.items()} for _ in range(TURNS)]
        for name, values in medians.items():
            values.append(float(np.median([turn[name] for turn in turns])))
    return medians


def build_claims(medians: Mapping[str, Sequence[float]]) -> list[Claim]:
    """Returns the time of the bare call, and what each interface of the server adds to it, by rounds."""
    bare = medians[BARE]
    claims = [Claim("the bare SavedModel call, p50", bare, ".1f", unit=" ms")]
    for name in (one for one in medians if one != BARE):
        added = [value - own for value, own in zip(medians[name], bare, strict=True)]
        claims.append(Claim(f"{name} adds to it", added, ".1f", GOAL_MILLISECONDS, is_ceiling=True, unit=" ms"))
    return claims


def main() -> None:
    """Prints overhead and load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", default="runs/export/ranker")
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    settings = parser.parse_args()
    bundle = find_bundle(settings.bundle)
    inputs = read_inputs(bundle, settings.documents)
    with run_server(bundle) as (url, address), ReloadedModel(bundle) as model:
        builds = {"REST": lambda: build_rest_call(url, inputs), "gRPC": lambda: build_grpc_call(address, inputs)}
        calls = {
            BARE: lambda: model.ask("serving_default", inputs),
            **{name: build() for name, build in builds.items()},
        }
        print(f"{settings.documents} documents a request, {ROUNDS} rounds of {TURNS} in turn; {describe_machine()}\n")
        print(format_claims(build_claims(measure_overhead(calls)), REASON) + "\n")
        print_header("documents")
        for name, build in builds.items():
            for clients in settings.clients:
                own = [build() for _ in range(clients)]
                print_row(settings.documents, clients, name, *measure_load(own, settings.seconds))


if __name__ == "__main__":
    main()
