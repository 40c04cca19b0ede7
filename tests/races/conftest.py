"""The course for every race: one gateway for all of them, and all else anew for each."""

from contextlib import closing

import pytest

from sandbox.gateway.running import RunningGateway
from tests.races.course import Course


@pytest.fixture(scope="session")
def running_gateway():
    with RunningGateway() as running:
        yield running


@pytest.fixture
def course(database_url, redis_url, running_gateway):
    running_gateway.reset()
    with closing(Course(database_url, redis_url, running_gateway)) as course:
        yield course
