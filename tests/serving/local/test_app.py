"""The server refuses what is too large, stops what is too slow, and counts."""

import concurrent.futures
import gzip
import socket
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.contract.requests import MODEL
from serving.local.app import MAX_INFLATED_BYTES, BodyTooLargeError, inflate

PREDICT = f"/v1/models/{MODEL}:predict"


@pytest.fixture(scope="module")
def limited_url(run_server, contract_sources):
    with run_server(contract_sources, max_body_bytes=1000) as url:
        yield url


def test_announced_body_over_the_limit_is_refused_before_it_is_sent(limited_url):
    address = httpx.URL(limited_url)
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("form", ["whole", "in chunks", "inflated"])
def test_body_over_the_limit_is_refused(limited_url, form):
    body = b" " * 5000
    content = {"whole": body, "in chunks": iter([body[:600], body[600:]]), "inflated": gzip.compress(body)}[form]
    headers = {"content-encoding": "gzip"} if form == "inflated" else {}
    response = httpx.post(limited_url + PREDICT, content=content, headers=headers)
    assert response.status_code == 413
    assert "1000 bytes" in response.json()["error"]


def test_body_within_the_limit_is_answered(limited_url):
    assert httpx.post(limited_url + PREDICT, json={"instances": [1.0]}).json() == {"predictions": [2.5]}


def test_inflating_stops_at_the_limit():
    bomb = gzip.compress(bytes(MAX_INFLATED_BYTES + 1))
    with pytest.raises(BodyTooLargeError):
        inflate(bomb, MAX_INFLATED_BYTES)
    assert inflate(bomb[:-9], 2 * MAX_INFLATED_BYTES) == b""


def test_slow_request_is_stopped_and_delays_no_other(run_server, slow_sources):
    with run_server(slow_sources, timeout_seconds=1.0) as url, httpx.Client(timeout=30) as client:
        predict = f"{url}/v1/models/slow:predict"
        assert client.post(predict, json={"inputs": 3}).json() == {"outputs": 3}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            slow = pool.submit(httpx.post, predict, json={"inputs": 2**60}, timeout=30)
            time.sleep(0.1)
            assert client.get(f"{url}/v1/models/slow").status_code == 200
            assert not slow.done()
            assert slow.result().status_code == 504


def test_metrics_count_requests_and_time_those_that_went_well(run_server, contract_sources):
    with run_server(contract_sources) as url:
        for value in (1.0, 2.0, "x"):
            httpx.post(url + PREDICT, json={"instances": [value]})
        httpx.post(f"{url}/v1/models/nobody:predict", json={"instances": [1.0]})
        page = httpx.get(f"{url}/monitoring/prometheus/metrics").text
        assert httpx.get(f"{url}/monitoring/prometheus/metrics?a=1").status_code == 400
    samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            samples[sample.name, sample.labels.get("model_name"), sample.labels.get("status")] = sample.value
    count = ":tensorflow:serving:request_count"
    assert samples[count, MODEL, "OK"] == 2
    assert samples[count, MODEL, "INVALID_ARGUMENT"] == 1
    assert samples[count, "nobody", "NOT_FOUND"] == 1
    assert samples[":tensorflow:serving:request_latency_count", MODEL, None] == 2


def test_method_that_http_does_not_know_is_not_implemented(contract_url):
    assert httpx.request("BREW", contract_url + PREDICT).status_code == 501
