"""A shop small enough to be simulated in a blink."""

import pytest

from tfr_listbert.config import ShopConfig
from tfr_listbert.lists.shop.simulation import simulate


@pytest.fixture(scope="session")
def small_config():
    return ShopConfig(products=400, queries=150, test_queries=50, sessions=20_000, results=12)


@pytest.fixture(scope="session")
def small_shop(small_config):
    return simulate(small_config)
