"""What the tests of the pipeline share: a shop of each test's own."""

import pytest

from tests.unit.twin_shop import Shop


@pytest.fixture
def shop():
    return Shop()
