"""The stores that every suite of the store's contract is held against."""

import pytest

from tests.contract.ledger_under_test import ledger
from tests.contract.store_under_test import twin

pytest.register_assert_rewrite("tests.contract.commits")  # a failed assertion there says what it saw

#: Every store that must keep the contract, by name; a factory gets pytest's `request`, for the fixtures it needs.
STORES = {"twin": twin, "ledger": ledger}


@pytest.fixture(params=STORES)
def tested(request):
    with STORES[request.param](request) as store_under_test:
        store_under_test.set_stock("cap", 5)
        store_under_test.set_stock("tee", 5)
        yield store_under_test


@pytest.fixture
def store(tested):
    return tested.store
