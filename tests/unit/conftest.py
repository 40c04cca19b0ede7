"""What the unit tests share: a shop of each test's own for the pipeline's, and patience with a busy machine."""

import pytest
from hypothesis import settings

from tests.unit.twin_shop import Shop

# An example that takes long says that the machine is busy, and nothing about what it was drawn for.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


@pytest.fixture
def shop():
    return Shop()
