"""Whatever is sent, the server answers: what is valid with its scores, the rest with an error of the client."""

import base64
import gzip
import json
import time

import httpx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serving.local.sources import ModelSource
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.export.signatures import specify_ranker
from tfr_listbert.schema import Document, RankedList

PREDICT = "/v1/models/ranker:predict"
MAX_BODY_BYTES = 100_000
INPUTS = ("title", "brand"), ("price", "rating")
BUILDER = RequestBuilder(*INPUTS, specify_ranker(*INPUTS))

TEXTS = st.text(max_size=12) | st.sampled_from(["red summer dress", "Größe 42 schwarz", "靴 👟", "</s>", "x" * 500])
PRICES = st.floats(-1e6, 1e6, width=32) | st.integers(-1000, 1000) | st.just(float("nan"))
FIELDS = st.fixed_dictionaries({"title": TEXTS, "brand": TEXTS})
FEATURES = st.fixed_dictionaries({"price": PRICES, "rating": PRICES})
LISTS = st.builds(
    lambda query, documents: RankedList("q", query, tuple(Document("d", *one) for one in documents)),
    TEXTS,
    st.lists(st.tuples(FIELDS, st.just(0.0), FEATURES), min_size=1, max_size=4),
)


@st.composite
def build_bodies(draw):
    """Draws a valid body: signature, its inputs, as rows or columns, its strings partly in base64."""
    lists = draw(st.lists(LISTS, min_size=1, max_size=3))
    request = draw(st.sampled_from(BUILDER.ask_each("fuzz", lists)))
    inputs = hide_strings(request.inputs, draw(st.randoms(use_true_random=False)))
    if draw(st.booleans()):
        return request, {"signature_name": request.signature_name, "inputs": inputs}
    names, columns = list(inputs), zip(*inputs.values(), strict=True)
    rows = [row[0] if len(names) == 1 else dict(zip(names, row, strict=True)) for row in columns]
    return request, {"signature_name": request.signature_name, "instances": rows}


def hide_strings(value, random):
    """Returns nested values, some of their strings in base64."""
    if isinstance(value, dict) and "b64" not in value:
        return {name: hide_strings(item, random) for name, item in value.items()}
    if isinstance(value, list):
        return [hide_strings(item, random) for item in value]
    if isinstance(value, str) and random.random() < 0.3:
        return {"b64": base64.b64encode(value.encode()).decode()}
    return value


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyab"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["instances", "inputs", "signature_name", "z"]), ANYTHING)
MUTATIONS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3), st.integers(0, 3)), min_size=1)
SAMPLE, SOAK, SOAK_VALID = (settings(max_examples=count) for count in (50, 2200, 3400))


@pytest.fixture(scope="module")
def fuzzed(run_server, exported):
    """Asks a server of the exported ranker that takes bodies up to MAX_BODY_BYTES; returns its answer."""
    sources = [ModelSource("ranker", exported.parent)]
    with run_server(sources, max_body_bytes=MAX_BODY_BYTES) as url, httpx.Client(base_url=url, timeout=10) as client:

        def ask(body, is_gzip=False):
            headers = {"content-encoding": "gzip"} if is_gzip else {}
            return client.post(PREDICT, content=gzip.compress(body) if is_gzip else body, headers=headers)

        yield ask


@pytest.fixture(scope="module")
def model(exported):
    with ReloadedModel(exported) as model:
        yield model


def check_scores(ask, model, request, body, is_gzip):
    response = ask(json.dumps(body).encode(), is_gzip)
    assert response.status_code == 200, response.text
    expected = model.ask(request.signature_name, request.inputs)
    (answer,) = response.json().values()
    if len(expected) == 1:
        answer = {"scores": answer}
    elif isinstance(answer, list):
        answer = {name: [row[name] for row in answer] for name in answer[0]}
    assert answer.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(np.array(answer[name]), values, rtol=1e-5, atol=1e-5, err_msg=name)


def check_mutation(ask, body, mutations, is_gzip):
    assume(
        body["signature_name"] != "predict"
    )  # a broken proto is DATA_LOSS, which has the code 500 on a real server, too
    data = json.dumps(body).encode()
    for place, new, lost in mutations:
        start = int(place * len(data))
        data = data[:start] + new + data[start + lost :]
    assert ask(data, is_gzip).status_code in (200, 400)


def check_document(ask, document, is_gzip):
    assert ask(json.dumps(document).encode(), is_gzip).status_code in (200, 400)


def check_bytes(ask, body, is_gzip):
    assert ask(body, is_gzip).status_code in (200, 400)


def check_size(ask, body, length, is_gzip):
    data = json.dumps(body).encode()
    assume(len(data) <= MAX_BODY_BYTES)
    start = time.monotonic()
    status = ask(data.ljust(length), is_gzip).status_code
    assert status == (413 if length > MAX_BODY_BYTES else 200)
    assert status == 200 or time.monotonic() - start < 1, "it must be refused at once"


VALID = {"valid": build_bodies(), "is_gzip": st.booleans()}
MUTATED = {**VALID, "mutations": MUTATIONS}
SIZED = {**VALID, "length": st.integers(MAX_BODY_BYTES - 50, MAX_BODY_BYTES + 50) | st.just(50 * MAX_BODY_BYTES)}


@SAMPLE
@given(**VALID)
def test_valid_bodies_are_answered_with_their_scores(fuzzed, model, valid, is_gzip):
    check_scores(fuzzed, model, *valid, is_gzip)


@SAMPLE
@given(**MUTATED)
def test_mutated_bodies_never_give_a_fault_of_the_server(fuzzed, valid, mutations, is_gzip):
    check_mutation(fuzzed, valid[1], mutations, is_gzip)


@SAMPLE
@given(document=DOCUMENTS, is_gzip=st.booleans())
def test_documents_never_give_a_fault_of_the_server(fuzzed, document, is_gzip):
    check_document(fuzzed, document, is_gzip)


@SAMPLE
@given(body=st.binary(max_size=200), is_gzip=st.booleans())
def test_bytes_never_give_a_fault_of_the_server(fuzzed, body, is_gzip):
    check_bytes(fuzzed, body, is_gzip)


@SAMPLE
@given(**SIZED)
def test_bodies_over_the_limit_are_refused_at_once(fuzzed, valid, length, is_gzip):
    check_size(fuzzed, valid[1], length, is_gzip)


@pytest.mark.soak
@SOAK_VALID
@given(**VALID)
def test_thousands_of_valid_bodies_are_answered_with_their_scores(fuzzed, model, valid, is_gzip):
    check_scores(fuzzed, model, *valid, is_gzip)


@pytest.mark.soak
@SOAK
@given(**MUTATED)
def test_thousands_of_mutated_bodies_never_give_a_fault_of_the_server(fuzzed, valid, mutations, is_gzip):
    check_mutation(fuzzed, valid[1], mutations, is_gzip)


@pytest.mark.soak
@SOAK
@given(document=DOCUMENTS, is_gzip=st.booleans())
def test_thousands_of_documents_never_give_a_fault_of_the_server(fuzzed, document, is_gzip):
    check_document(fuzzed, document, is_gzip)


@pytest.mark.soak
@SOAK
@given(body=st.binary(max_size=200), is_gzip=st.booleans())
def test_thousands_of_bodies_never_give_a_fault_of_the_server(fuzzed, body, is_gzip):
    check_bytes(fuzzed, body, is_gzip)
