"""Whatever is sent, the server answers: what is valid with its value, the rest with an error of the client."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.contract.requests import MODEL

PREDICT = f"/v1/models/{MODEL}:predict"
NUMBERS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyab"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["instances", "inputs", "signature_name", "z"]), ANYTHING)
SAMPLE, SOAK = (
    settings(max_examples=count, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    for count in (100, 3400)
)


@pytest.fixture(scope="module")
def fuzzed(contract_url):
    with httpx.Client(base_url=contract_url, timeout=10) as client:
        yield client


def check_value(client, numbers):
    answers = client.post(PREDICT, json={"instances": numbers}).json()["predictions"]
    assert answers == pytest.approx([number / 2 + 2 for number in numbers], rel=1e-5)


def check_document(client, document):
    assert client.post(PREDICT, content=json.dumps(document)).status_code in (200, 400)


def check_bytes(client, body, is_gzip):
    headers = {"content-encoding": "gzip"} if is_gzip else {}
    assert client.post(PREDICT, content=body, headers=headers).status_code in (200, 400)


@SAMPLE
@given(numbers=NUMBERS)
def test_valid_bodies_are_answered_with_their_value(fuzzed, numbers):
    check_value(fuzzed, numbers)


@SAMPLE
@given(document=DOCUMENTS)
def test_documents_never_give_a_fault_of_the_server(fuzzed, document):
    check_document(fuzzed, document)


@SAMPLE
@given(body=st.binary(max_size=200), is_gzip=st.booleans())
def test_bytes_never_give_a_fault_of_the_server(fuzzed, body, is_gzip):
    check_bytes(fuzzed, body, is_gzip)


@pytest.mark.soak
@SOAK
@given(numbers=NUMBERS)
def test_thousands_of_valid_bodies_are_answered_with_their_value(fuzzed, numbers):
    check_value(fuzzed, numbers)


@pytest.mark.soak
@SOAK
@given(document=DOCUMENTS)
def test_thousands_of_documents_never_give_a_fault_of_the_server(fuzzed, document):
    check_document(fuzzed, document)


@pytest.mark.soak
@SOAK
@given(body=st.binary(max_size=200), is_gzip=st.booleans())
def test_thousands_of_bodies_never_give_a_fault_of_the_server(fuzzed, body, is_gzip):
    check_bytes(fuzzed, body, is_gzip)
