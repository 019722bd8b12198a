"""What the local server costs over the bare SavedModel, and what it bears: requests per second and percentiles.

Usage: python -m benchmarks.serving [runs/export/ranker/1] [--documents 30] [--seconds 5] [--clients 1 8 32]

Starts the server on the bundle in a process of its own and asks it over REST and gRPC with one request, encoded once.
The overhead is measured first: bare call, REST and gRPC in turn, so that whatever slows the machine slows all three.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import http
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from serving.remote.golden import find_bundle, read_golden_requests
from serving.remote.grpc_model import build_tensor
from tfr_listbert.export.reload import ReloadedModel

MAX_OVERHEAD_MILLISECONDS = 2.0
"""What the server may add to the bare call at p50."""

Call = Callable[[], Any]
NAME = "ranker"
TURNS = 100
"""Calls of each kind for the overhead, after ten that are not counted."""


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


def time_call(call: Call) -> float:
    """Returns the milliseconds of a call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def measure_overhead(calls: Mapping[str, Call]) -> dict[str, float]:
    """Returns the median milliseconds of each call, taken in turn."""
    rounds = [{name: time_call(call) for name, call in calls.items()} for _ in range(TURNS + 10)][10:]
    return {name: float(np.median([one[name] for one in rounds])) for name in calls}


def judge_overhead(medians: Mapping[str, float]) -> str:
    """Returns the verdict on the medians of `measure_overhead`.

    >>> judge_overhead({"bare": 10.0, "REST": 11.5, "gRPC": 12.5})
    'server overhead over the bare SavedModel call <= 2 ms at p50: REST yes, gRPC no'
    """
    is_within = {name: value - medians["bare"] <= MAX_OVERHEAD_MILLISECONDS for name, value in medians.items()}
    verdicts = ", ".join(f"{name} {'yes' if is_within[name] else 'no'}" for name in medians if name != "bare")
    return f"server overhead over the bare SavedModel call <= {MAX_OVERHEAD_MILLISECONDS:g} ms at p50: {verdicts}"


def measure_load(build: Callable[[], Call], clients: int, seconds: float) -> str:
    """Returns requests per second and percentiles of so many clients, each asking again as soon as it is answered."""

    def ask(call: Call) -> list[float]:
        end = time.perf_counter() + seconds
        times = []
        while time.perf_counter() < end:
            times.append(time_call(call))
        return times

    calls = [build() for _ in range(clients)]
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        times = [value for part in pool.map(ask, calls) for value in part]
    elapsed = time.perf_counter() - start
    p50, p90, p99 = np.percentile(times, [50, 90, 99])
    return f"{len(times) / elapsed:8.1f} requests/s   p50 {p50:7.1f}   p90 {p90:7.1f}   p99 {p99:7.1f} ms"


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
        bare = {"bare": lambda: model.ask("serving_default", inputs)}
        medians = measure_overhead({**bare, **{name: build() for name, build in builds.items()}})
        print(f"{settings.documents} documents, one client, medians of {TURNS} calls in turn:")
        for name, value in medians.items():
            over, ratio = value - medians["bare"], value / medians["bare"]
            print(f"  {name:5} {value:7.2f} ms" + (f"  {over:+.2f} ms, {ratio:.2f} times" if name in builds else ""))
        print(f"  {judge_overhead(medians)}")
        for name, build in builds.items():
            for clients in settings.clients:
                print(f"  {name} {clients:3} clients {measure_load(build, clients, settings.seconds)}", flush=True)


if __name__ == "__main__":
    main()
