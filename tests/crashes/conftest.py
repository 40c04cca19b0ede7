"""Lets a failed assertion of a shared check say what it saw."""

import pytest

pytest.register_assert_rewrite("tests.crashes.aftermath", "tests.crashes.storm")
