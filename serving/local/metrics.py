"""Prometheus metrics under the names that TensorFlow Serving gives them."""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterator

import prometheus_client
from prometheus_client.core import Metric

PATH = "/monitoring/prometheus/metrics"

REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"

_LATENCY_BUCKETS_MICROSECONDS = [10 * 1.8**power for power in range(33)]


class ServingMetrics:
    """Requests by model and status, and latency of those that were answered with 200."""

    def __init__(self):
        """Makes empty metrics in a registry of their own."""
        prometheus_client.disable_created_metrics()
        self._registry = prometheus_client.CollectorRegistry()
        self._latency = prometheus_client.Histogram(
            REQUEST_LATENCY,
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            ["model_name", "API", "entrypoint"],
            buckets=_LATENCY_BUCKETS_MICROSECONDS,
            registry=self._registry,
        )
        self._counts = _RequestCounts()
        self._registry.register(self._counts)

    def record(self, model: str, api: str, entrypoint: str, code: str, seconds: float) -> None:
        """Counts one request; `code` is its canonical status code's name, `entrypoint` "REST" or "GRPC"."""
        self._counts.add(model, code)
        if code == "OK":
            self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)

    def format_page(self) -> bytes:
        """Returns the page that Prometheus reads."""
        return prometheus_client.generate_latest(self._registry)


class _RequestCounts:
    """A counter without the suffix `_total` that the client library adds and TensorFlow Serving's name lacks."""

    def __init__(self):
        self._counts: collections.Counter = collections.Counter()
        self._lock = threading.Lock()

    def add(self, model: str, code: str) -> None:
        with self._lock:
            self._counts[model, code] += 1

    def collect(self) -> Iterator[Metric]:
        metric = Metric(REQUEST_COUNT, "The total number of requests.", "unknown")
        with self._lock:
            for (model, code), count in sorted(self._counts.items()):
                metric.add_sample(REQUEST_COUNT, {"model_name": model, "status": code}, count)
        yield metric
