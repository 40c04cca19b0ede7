"""The gateway client against the sandbox gateway's faults: what each is seen as, and what really happened."""

import time

import pytest

from confirmation.answers import Cancelled, Refused, Silence
from confirmation.order import Money
from worker.gateway import Account, BootpayGateway

KEYS = {"application_id": "sandbox-application", "private_key": "sandbox-private"}
READY, PAID = 2, 1
#: The deadline of a call that meets it, and of one that shouldn't.
SHORT_SECONDS, LONG_SECONDS = 0.5, 20
HALF_AN_HOUR_SECONDS = 31 * 60


@pytest.fixture
def sandbox(gateway_process):
    gateway_process.reset()
    return gateway_process


@pytest.fixture(params=["v1", "v2"])
def api(request):
    return request.param


@pytest.fixture
def gateway(sandbox, api):
    return build(sandbox, api)


def build(sandbox, api, seconds=LONG_SECONDS, **keys):
    return BootpayGateway(Account(api, sandbox.url, **(KEYS | keys)), lookup_seconds=seconds, submit_seconds=seconds)


def look_up(gateway, receipt_id):
    return gateway.look_up(receipt_id, start_by=far())


def submit(gateway, receipt_id):
    return gateway.submit(receipt_id, start_by=far())


def cancel(gateway, receipt_id):
    return gateway.cancel(receipt_id, f"{receipt_id}-1", start_by=far())


def far():
    return time.monotonic() + 60


@pytest.mark.parametrize("acts", [True, False])
def test_a_500_to_a_submit_says_nothing_about_the_money(sandbox, api, gateway, acts):
    receipt_id = sandbox.open()
    sandbox.script("approve", "http_500", receipt_id=receipt_id, acts=acts)

    answer = submit(gateway, receipt_id)

    assert isinstance(answer, Refused if api == "v1" else Silence)
    assert not getattr(answer, "explicit", False)
    assert look_up(gateway, receipt_id).status == (PAID if acts else READY)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("http_429", "429"),
        ("http_502_html", "502"),
        ("half_json", "not the answer we know"),
        ("not_json", "not the answer we know"),
    ],
)
def test_a_whole_answer_that_says_nothing_ends_the_call(sandbox, gateway, fault, why):
    receipt_id = sandbox.open()
    sandbox.script("approve", fault, receipt_id=receipt_id)

    answer = submit(gateway, receipt_id)

    assert isinstance(answer, Silence)
    assert answer.why.startswith(why)
    assert answer.ended


def test_how_long_to_wait_is_heard(sandbox, gateway):
    receipt_id = sandbox.open()
    sandbox.script("receipt", "http_429", receipt_id=receipt_id, seconds=7)

    assert look_up(gateway, receipt_id).retry_after_seconds == 7


def test_a_huge_answer_is_not_believed(sandbox, gateway):
    receipt_id = sandbox.open()
    sandbox.script("approve", "huge_body", receipt_id=receipt_id)

    answer = submit(gateway, receipt_id)

    assert isinstance(answer, Silence)
    assert not answer.ended


@pytest.mark.parametrize("fault", ["drip", "hang", "slow_approval"])
def test_a_slow_submit_is_left_at_its_deadline(sandbox, api, fault):
    gateway = build(sandbox, api, SHORT_SECONDS)
    receipt_id = sandbox.open()
    sandbox.script("approve", fault, receipt_id=receipt_id)
    look_up(gateway, receipt_id)
    started = time.monotonic()

    answer = submit(gateway, receipt_id)

    assert answer == Silence("no whole answer in time", ended=False)
    assert time.monotonic() - started < SHORT_SECONDS + 3


def test_an_amount_that_differs_is_told_as_it_is(sandbox, gateway):
    receipt_id = sandbox.open()
    sandbox.script("approve", "wrong_amount", receipt_id=receipt_id, amount=4000)

    assert submit(gateway, receipt_id).amount == Money(4000, "KRW")


def test_a_200_that_does_not_say_paid_is_told_as_it_is(sandbox, gateway):
    receipt_id = sandbox.open()
    sandbox.script("approve", "not_paid_200", receipt_id=receipt_id)

    assert submit(gateway, receipt_id).status == READY


def test_dollars_paid_in_v1_are_believed_only_after_a_look_up(sandbox):
    gateway = build(sandbox, "v1")
    receipt_id = sandbox.open("order-1", "10.50", currency="USD")

    assert submit(gateway, receipt_id).amount is None
    assert look_up(gateway, receipt_id).amount == Money(1050, "USD")


def test_a_virtual_account_is_known(sandbox, gateway):
    assert look_up(gateway, sandbox.open(method="vbank")).virtual_account


def test_a_partial_cancel_is_seen_and_the_rest_cancelled(sandbox, gateway):
    receipt_id = sandbox.open(status=PAID)
    sandbox.change(receipt_id, cancelled_price=1000)

    assert look_up(gateway, receipt_id).cancelled == 1000
    cancel(gateway, receipt_id)
    assert sandbox.ledger(receipt_id)["cancelled"] == 3000


def test_a_cancel_that_is_refused_leaves_the_money(sandbox, gateway):
    receipt_id = sandbox.open(status=PAID)
    sandbox.script("cancel", "cancel_refused", receipt_id=receipt_id)

    assert isinstance(cancel(gateway, receipt_id), Refused)
    assert look_up(gateway, receipt_id).status == PAID


def test_a_cancel_under_way_is_no_end(sandbox, gateway):
    receipt_id = sandbox.open(status=PAID)
    sandbox.script("cancel", "cancel_in_progress", receipt_id=receipt_id)

    assert not isinstance(cancel(gateway, receipt_id), Cancelled)
    assert sandbox.ledger(receipt_id)["cancels"] == 0


def test_a_worker_outlives_its_token(sandbox, gateway):
    receipt_id = sandbox.open()
    look_up(gateway, receipt_id)
    sandbox.advance(HALF_AN_HOUR_SECONDS)

    assert submit(gateway, receipt_id).status == PAID
    assert sandbox.ledger()["totals"]["calls"]["token"] == 2
    assert sandbox.ledger(receipt_id)["charges"] == 1


def test_wrong_keys_are_silence(sandbox, api):
    receipt_id = sandbox.open()

    answer = submit(build(sandbox, api, private_key="wrong"), receipt_id)

    assert answer.ended
    assert answer.why.startswith("401")
    assert sandbox.ledger(receipt_id)["charges"] == 0


def test_wrong_basic_keys_are_silence(sandbox):
    answer = look_up(build(sandbox, "v2", client_key="sandbox-client", secret_key="wrong"), sandbox.open())

    assert answer == Silence("401 APP_SK_NOT_MATCHED", ended=True)
    assert sandbox.ledger()["totals"]["calls"]["token"] == 0
