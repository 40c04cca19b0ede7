"""The gateway client and its twin in memory answer alike: what the rules are tried out with is what they meet."""

import time

import pytest

from confirmation.answers import Absent, Cancelled, GatewayReceipt, Refused, Silence
from confirmation.errors import ClaimLost
from confirmation.order import Money
from sandbox.gateway.running import RunningGateway
from sandbox.twins import Clock, Fault, TwinGateway, TwinReceipt
from worker.gateway import Account, BootpayGateway

WON = Money(3000, "KRW")
DOLLARS = Money(1050, "USD")
READY, PAID, FAILED, CANCELLED = 2, 1, -2, 20
TOKEN_KEYS = {"application_id": "sandbox-application", "private_key": "sandbox-private"}
BASIC_KEYS = {"client_key": "sandbox-client", "secret_key": "sandbox-secret"}
ACCOUNTS = {"v1": ("v1", TOKEN_KEYS), "v2": ("v2", TOKEN_KEYS), "v2 basic": ("v2", BASIC_KEYS)}


class Real:
    """The client, talking over HTTP to the sandbox gateway."""

    def __init__(self, sandbox, api, keys):
        sandbox.reset()
        self.sandbox = sandbox
        self.api = api
        self.gateway = BootpayGateway(Account(api, sandbox.url, **keys), lookup_seconds=5, submit_seconds=5)

    def open(self, amount=WON, status=READY):
        price = amount.as_document()
        return self.sandbox.open("order-1", price, currency=amount.currency, status=status)

    def decline(self, receipt_id):
        self.sandbox.script("approve", "decline", receipt_id=receipt_id)

    def lose_the_answer(self, receipt_id, call, *, acts):
        name = {"submit": "approve"}.get(call, call)
        self.sandbox.script(name, "lost_answer" if acts else "no_answer", receipt_id=receipt_id)

    def charges(self, receipt_id):
        return self.sandbox.ledger(receipt_id)["charges"]

    def far(self):
        return time.monotonic() + 60

    def past(self):
        return time.monotonic() - 0.001


class Twin:
    """The twin, with as much of it scripted as the sandbox is for the client."""

    api = "v2"

    def __init__(self):
        self.clock = Clock()
        self.clock.advance(1)
        self.gateway = TwinGateway(self.clock)

    def open(self, amount=WON, status=READY):
        receipt = TwinReceipt("order-1", amount, api=self.api)
        if status == PAID:
            receipt.pay()
        receipt.status = status
        self.gateway.receipts["r-1"] = receipt
        return "r-1"

    def decline(self, receipt_id):
        self.gateway.receipts[receipt_id].declined_as = FAILED

    def lose_the_answer(self, receipt_id, call, *, acts):
        self.gateway.tell(receipt_id, call, Fault(Silence("lost"), acts=acts))

    def charges(self, receipt_id):
        return self.gateway.receipts[receipt_id].charges

    def far(self):
        return self.clock.tick() + 60

    def past(self):
        return self.clock.tick() - 0.001


@pytest.fixture(scope="module")
def sandbox():
    with RunningGateway() as running:
        yield running


@pytest.fixture(params=[*ACCOUNTS, "twin"])
def world(request):
    if request.param == "twin":
        return Twin()
    return Real(request.getfixturevalue("sandbox"), *ACCOUNTS[request.param])


def look_up(world, receipt_id):
    return world.gateway.look_up(receipt_id, start_by=world.far())


def submit(world, receipt_id):
    return world.gateway.submit(receipt_id, start_by=world.far())


def cancel(world, receipt_id, cancel_id="c-1"):
    return world.gateway.cancel(receipt_id, cancel_id, start_by=world.far())


@pytest.mark.parametrize("amount", [WON, DOLLARS], ids=["won", "dollars"])
def test_a_ready_receipt_is_told_with_its_order_and_amount(world, amount):
    receipt = look_up(world, world.open(amount))

    assert isinstance(receipt, GatewayReceipt)
    assert (receipt.status, receipt.order_id, receipt.amount, receipt.cancelled) == (READY, "order-1", amount, 0)
    assert (receipt.api, receipt.method, receipt.virtual_account) == (world.api, "card", False)


def test_a_receipt_that_nobody_opened_is_absent(world):
    assert isinstance(look_up(world, "nobody-opened-this"), Absent)


def test_a_submit_charges_once_and_answers_with_the_paid_receipt(world):
    receipt_id = world.open()

    receipt = submit(world, receipt_id)

    assert (receipt.status, receipt.order_id, receipt.amount) == (PAID, "order-1", WON)
    assert look_up(world, receipt_id).status == PAID
    assert world.charges(receipt_id) == 1


def test_a_declined_submit_is_refused_and_charges_nothing(world):
    receipt_id = world.open()
    world.decline(receipt_id)

    refused = submit(world, receipt_id)

    assert isinstance(refused, Refused)
    assert refused.explicit is (world.api == "v2")
    assert refused.message
    assert look_up(world, receipt_id).status == FAILED
    assert world.charges(receipt_id) == 0


def test_a_submit_of_what_had_failed_is_refused_but_no_decline(world):
    refused = submit(world, world.open(status=FAILED))

    assert isinstance(refused, Refused)
    assert not refused.explicit


@pytest.mark.parametrize(("acts", "status"), [(True, PAID), (False, READY)])
def test_a_submit_without_an_answer_is_silence_and_only_a_look_up_tells(world, acts, status):
    receipt_id = world.open()
    world.lose_the_answer(receipt_id, "submit", acts=acts)

    assert isinstance(submit(world, receipt_id), Silence)
    assert look_up(world, receipt_id).status == status


def test_a_cancel_gives_everything_back(world):
    receipt_id = world.open(status=PAID)

    assert isinstance(cancel(world, receipt_id), Cancelled)

    receipt = look_up(world, receipt_id)
    assert (receipt.status, receipt.cancelled) == (CANCELLED, WON.minor)


def test_a_cancel_of_what_is_cancelled_is_an_end(world):
    receipt_id = world.open(status=PAID)
    cancel(world, receipt_id)

    assert isinstance(cancel(world, receipt_id, "c-2"), Cancelled)


def test_a_cancel_of_what_was_never_paid_is_refused(world):
    assert isinstance(cancel(world, world.open()), Refused)


def test_a_cancel_without_an_answer_is_silence_and_only_a_look_up_tells(world):
    receipt_id = world.open(status=PAID)
    world.lose_the_answer(receipt_id, "cancel", acts=True)

    assert isinstance(cancel(world, receipt_id), Silence)
    assert look_up(world, receipt_id).status == CANCELLED


@pytest.mark.parametrize("call", ["look_up", "submit", "cancel"])
def test_a_call_that_is_too_late_to_begin_is_not_made(world, call):
    receipt_id = world.open()
    arguments = (receipt_id, "c-1") if call == "cancel" else (receipt_id,)

    with pytest.raises(ClaimLost):
        getattr(world.gateway, call)(*arguments, start_by=world.past())

    assert look_up(world, receipt_id).status == READY
