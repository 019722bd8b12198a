"""The models of the contract, and a local server that serves them."""

import pytest

from serving.contract.models import write_contract_models
from serving.local.sources import read_sources


@pytest.fixture(scope="session")
def contract_sources(tmp_path_factory):
    return read_sources(write_contract_models(tmp_path_factory.mktemp("contract")))


@pytest.fixture(scope="session")
def contract_url(run_server, contract_sources):
    with run_server(contract_sources) as url:
        yield url
