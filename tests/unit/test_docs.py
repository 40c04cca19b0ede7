"""What the docs say is there, is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/failures.md").read_text())


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_docs_name_exists(file, name):
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_each_of_the_ten_failures_names_a_test():
    rows = [line for line in (ROOT / "docs/failures.md").read_text().splitlines() if re.match(r"\| \d+\. ", line)]

    assert len(rows) == 10
    assert all("::test_" in row for row in rows)
