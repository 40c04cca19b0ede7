"""What the tests of the examples share: the languages' folders, built once."""

import pytest

from tests.examples.languages import Folders


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return Folders(tmp_path_factory.mktemp("producers"))
