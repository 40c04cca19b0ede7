"""What the tests of the decision table share: one sandbox gateway, and a house for each version of the API."""

import pytest

from sandbox.gateway.running import RunningGateway
from tests.integration.cell_house import open_cells


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
