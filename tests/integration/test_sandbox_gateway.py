"""The sandbox gateway, judged by Bootpay's own SDKs: what they can do against Bootpay, they can do here."""

import uuid
from decimal import Decimal

import pytest
from bootpay import Bootpay
from bootpay_backend import BootpayBackend

KEYS = ("sandbox-application", "sandbox-private")
ALREADY_CANCELLED = "기취소된 건입니다"


@pytest.fixture
def v1(gateway, monkeypatch):
    monkeypatch.setitem(Bootpay.base_url, "production", gateway.url)
    sdk = Bootpay(*KEYS)
    sdk.get_access_token()
    return sdk


@pytest.fixture(params=["token", "basic"])
def v2(request, gateway, monkeypatch):
    monkeypatch.setitem(BootpayBackend.BASE_URL, "production", f"{gateway.url}/v2")
    if request.param == "basic":
        return BootpayBackend(client_key="sandbox-client", secret_key="sandbox-secret")
    sdk = BootpayBackend(*KEYS)
    sdk.get_access_token()
    return sdk


def cancel_v1(sdk, receipt_id, **more):
    """The SDK's own default cancel_id is the same for the whole process."""
    return sdk.cancel(receipt_id, **{"cancel_id": uuid.uuid4().hex, **more})


def test_v1_gives_a_token_in_its_envelope(v1):
    answer = v1.get_access_token()

    assert answer["status"] == 200
    assert answer["code"] == 0
    assert len(answer["data"]["token"]) == 64
    assert 1790 <= answer["data"]["expired_at"] - answer["data"]["server_time"] <= 1800


def test_v2_gives_a_token_without_an_envelope(gateway, monkeypatch):
    monkeypatch.setitem(BootpayBackend.BASE_URL, "production", f"{gateway.url}/v2")

    answer = BootpayBackend(*KEYS).get_access_token()

    assert set(answer) == {"access_token", "expire_in"}
    assert 1790 <= answer["expire_in"] <= 1800


def test_v1_tells_a_ready_receipt(gateway, v1):
    receipt_id = gateway.open("주문-1", 3000)

    answer = v1.verify(receipt_id)

    assert answer["status"] == 200
    told = answer["data"]
    assert (told["receipt_id"], told["order_id"], told["price"]) == (receipt_id, "주문-1", 3000)
    assert (told["status"], told["unit"], told["method"]) == (2, "krw", "card")
    assert told["purchased_at"] is None
    assert len(told["requested_at"]) == len("2026-11-23 10:00:00")


def test_v2_tells_a_ready_receipt(gateway, v2):
    receipt_id = gateway.open("주문-1", 3000)

    told = v2.receipt_payment(receipt_id)

    assert (told["receipt_id"], told["order_id"], told["price"]) == (receipt_id, "주문-1", 3000)
    assert (told["status"], told["currency"], told["method_symbol"]) == (2, "KRW", "card")
    assert told["purchased_at"] is None
    assert told["requested_at"].endswith("+09:00")


def test_v1_charges_once_however_often_it_is_asked(gateway, v1):
    receipt_id = gateway.open()

    first, second = v1.submit(receipt_id), v1.submit(receipt_id)

    assert (first["status"], first["data"]["status"], first["data"]["price"]) == (200, 1, 3000)
    assert first["data"]["item_name"] == "sandbox item"
    assert second["status"] != 200
    assert second["code"] < 0
    account = gateway.ledger(receipt_id)
    assert (account["charges"], account["charged"], account["calls"]["approve"]) == (1, 3000, 2)


def test_v2_replays_an_approval_for_ten_seconds_and_then_refuses_it(gateway, v2):
    receipt_id = gateway.open()

    first, second = v2.confirm_payment(receipt_id), v2.confirm_payment(receipt_id)
    gateway.advance(11)
    third = v2.confirm_payment(receipt_id)

    assert first["status"] == 1
    assert second == first
    assert third["error_code"] == "RC_NOT_CONFIRM_READY"
    assert gateway.ledger(receipt_id)["charges"] == 1


def test_v1_cancels_in_parts_and_says_when_nothing_is_left(gateway, v1):
    receipt_id = gateway.open(status=1)

    part = cancel_v1(v1, receipt_id, price=1000)
    too_much = cancel_v1(v1, receipt_id, price=2001)
    status_between = v1.verify(receipt_id)["data"]["status"]
    rest = cancel_v1(v1, receipt_id)
    again = cancel_v1(v1, receipt_id)

    assert (part["data"]["request_cancel_price"], part["data"]["remain_price"]) == (1000, 2000)
    assert too_much["code"] < 0
    assert status_between == 1
    assert (rest["data"]["cancelled_price"], rest["data"]["remain_price"]) == (3000, 0)
    assert again["message"] == ALREADY_CANCELLED
    assert v1.verify(receipt_id)["data"]["status"] == 20
    account = gateway.ledger(receipt_id)
    assert (account["cancels"], account["cancelled"]) == (2, 3000)


def test_v2_cancels_in_parts_and_says_when_nothing_is_left(gateway, v2):
    receipt_id = gateway.open(status=1)

    part = v2.cancel_payment(receipt_id, cancel_price=1000)
    too_much = v2.cancel_payment(receipt_id, cancel_price=2001)
    rest = v2.cancel_payment(receipt_id)
    again = v2.cancel_payment(receipt_id)

    assert (part["status"], part["cancelled_price"]) == (1, 1000)
    assert "error_code" in too_much
    assert (rest["status"], rest["cancelled_price"]) == (20, 3000)
    assert rest["cancelled_at"].endswith("+09:00")
    assert again["error_code"] == "RC_ALREADY_CANCELLED"


def test_a_cancel_id_is_good_for_one_cancel(gateway, v1, v2):
    receipt_id = gateway.open(status=1)

    assert cancel_v1(v1, receipt_id, price=1000, cancel_id="c-1")["status"] == 200
    assert cancel_v1(v1, receipt_id, price=1000, cancel_id="c-1")["code"] < 0
    assert "error_code" in v2.cancel_payment(receipt_id, cancel_id="c-1", cancel_price=1000)
    assert gateway.ledger(receipt_id)["cancelled"] == 1000


def test_what_was_never_paid_cannot_be_cancelled(gateway, v1, v2):
    receipt_id = gateway.open()

    assert cancel_v1(v1, receipt_id)["code"] < 0
    assert "error_code" in v2.cancel_payment(receipt_id)
    assert gateway.ledger(receipt_id)["cancels"] == 0


def test_a_virtual_account_pays_back_only_to_an_account(gateway, v1, v2):
    """The v1 SDK loses the account's values on the way and sends its keys: that has to do."""
    receipt_id = gateway.open(status=1, method="vbank")

    assert "error_code" in v2.cancel_payment(receipt_id)
    assert cancel_v1(v1, receipt_id, refund={"account": "1", "accountholder": "홍", "bankcode": "04"})["status"] == 200


def test_a_virtual_account_waits_at_2_in_v1_and_at_5_in_v2(gateway, v1, v2):
    receipt_id = gateway.open(method="vbank")

    assert v1.verify(receipt_id)["data"]["status"] == 2
    assert v1.verify(receipt_id)["data"]["method"] == "vbank"
    assert v2.receipt_payment(receipt_id)["status"] == 5
    assert v2.confirm_payment(receipt_id)["error_code"] == "RC_NOT_CONFIRM_READY"
    assert v1.submit(receipt_id)["code"] < 0


@pytest.mark.parametrize(
    ("set_to", "told"),
    [
        (0, (0, 0)),
        (3, (3, 4)),
        (4, (3, 4)),
        (-1, (-1, -4)),
        (-4, (-1, -4)),
        (-2, (-2, -2)),
        (-20, (-20, 1)),
        (-30, (-30, 1)),
        (99, (99, 99)),
    ],
)
def test_each_version_tells_a_status_in_its_own_number(gateway, v1, v2, set_to, told):
    receipt_id = gateway.open()

    gateway.change(receipt_id, status=set_to)

    assert (v1.verify(receipt_id)["data"]["status"], v2.receipt_payment(receipt_id)["status"]) == told


def test_unknown_receipts_are_404_in_the_words_of_each_version(v1, v2):
    assert v1.verify("nobody")["status"] == 404
    assert v1.submit("nobody")["code"] < 0
    assert v2.receipt_payment("nobody")["error_code"] == "RC_NOT_FOUND"
    assert v2.confirm_payment("nobody")["error_code"] == "RC_NOT_FOUND"


def test_dollars_are_told_with_their_cents(gateway, v1, v2):
    receipt_id = gateway.open(price="10.10", currency="USD")

    assert v1.verify(receipt_id)["data"]["unit"] == "usd"
    assert v2.confirm_payment(receipt_id)["price"] == pytest.approx(10.10)
    assert v2.cancel_payment(receipt_id, cancel_price=0.1)["cancelled_price"] == pytest.approx(0.1)
    assert gateway.ledger()["totals"]["charged"] == {"USD": Decimal("10.10")}


def test_wrong_keys_are_told_apart(gateway, monkeypatch):
    monkeypatch.setitem(BootpayBackend.BASE_URL, "production", f"{gateway.url}/v2")
    monkeypatch.setitem(Bootpay.base_url, "production", gateway.url)

    assert Bootpay("nobody", KEYS[1]).get_access_token()["code"] == -2410
    assert Bootpay(KEYS[0], "wrong").get_access_token()["status"] == 401
    assert BootpayBackend("nobody", KEYS[1]).get_access_token()["error_code"] == "APP_KEY_NOT_FOUND"
    assert BootpayBackend(KEYS[0], "wrong").get_access_token()["error_code"] == "APP_SK_NOT_MATCHED"


def test_a_token_stays_for_25_minutes_and_the_old_one_lives_beside_the_new_one(gateway, v1):
    first = v1.token
    gateway.advance(24 * 60)
    v1.get_access_token()
    assert v1.token == first

    gateway.advance(2 * 60)
    other = Bootpay(*KEYS)
    other.get_access_token()

    assert other.token != first
    receipt_id = gateway.open()
    assert v1.verify(receipt_id)["status"] == 200
    gateway.advance(5 * 60)
    assert v1.verify(receipt_id)["status"] == 401
    assert other.verify(receipt_id)["status"] == 200
