"""What several files of this folder stand on: houses for both versions of the API, a gateway, and what a shop has."""

import pytest

from sandbox.gateway.running import RunningGateway
from tests.integration.cell_house import open_cells
from tests.integration.sql_shops import connections
from tests.producers import producer
from tests.receivers import receiving


@pytest.fixture(scope="session")
def cell_houses(servers, template_database):
    """A house for each version, on one gateway, for all tests: each opens receipts and orders of its own."""
    with (
        RunningGateway() as sandbox,
        open_cells(servers, template_database, sandbox, "v1") as v1,
        open_cells(servers, template_database, sandbox, "v2") as v2,
    ):
        yield {"v1": v1, "v2": v2}


@pytest.fixture(params=["v1", "v2"])
def cell_house(request, cell_houses):
    return cell_houses[request.param]


@pytest.fixture(scope="module")
def gateway_process():
    """A sandbox gateway for a file of tests."""
    with RunningGateway() as running:
        yield running


@pytest.fixture
def gateway(gateway_process):
    """The sandbox gateway, as it is when it has just begun."""
    gateway_process.reset()
    return gateway_process


@pytest.fixture
def shop_url(database_url):
    """The database's address for a shop's own role, which may only enqueue."""
    with producer(database_url) as url:
        yield url


@pytest.fixture
def connect(shop_url):
    """Connects as that shop, as often as is asked for."""
    with connections(shop_url) as connect:
        yield connect


@pytest.fixture
def shop():
    """A shop's server that takes callbacks. Files about another side of a shop have a `shop` of their own."""
    with receiving() as shop:
        yield shop
