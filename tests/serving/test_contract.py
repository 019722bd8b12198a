"""The local server keeps TensorFlow Serving's REST contract, line by line."""

import collections

import httpx
import pytest

from serving.contract.table import CONTRACT


@pytest.fixture(scope="module")
def client(contract_url):
    with httpx.Client(base_url=contract_url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("request_", CONTRACT, ids=lambda request: request.name)
def test_local_server_keeps_the_contract(client, request_):
    response = client.request(request_.method, request_.path, content=request_.body, headers=request_.headers)
    assert not request_.find_fault(response.status_code, response.content)


def test_table_has_eighty_rows_with_names_of_their_own():
    names = collections.Counter(request.name for request in CONTRACT)
    assert len(CONTRACT) >= 80
    assert max(names.values()) == 1


def test_table_notices_a_wrong_answer():
    request = next(request for request in CONTRACT if request.name == "the newest version answers")
    assert not request.find_fault(200, b'{"predictions": [2.5, 3.5]}')
    for status, body in [(500, b""), (200, b"{"), (200, b'{"predictions": [2.5, 3.6]}'), (200, b'{"outputs": []}')]:
        assert request.find_fault(status, body)
