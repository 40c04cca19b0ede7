"""The sandbox gateway's faults: what the caller gets, and what is true behind it."""

import json
import threading
import time

import pytest
import requests

from sandbox.gateway.faults import FAULTS
from sandbox.gateway.running import RunningGateway

BASIC = ("sandbox-client", "sandbox-secret")
#: Well above what a busy machine needs for an answer; a fault that hangs is told to hang for longer.
PATIENCE_SECONDS = 10
IN_FLIGHT_V1, IN_FLIGHT_V2 = 3, 4


@pytest.fixture
def v1_token(gateway):
    keys = {"application_id": "sandbox-application", "private_key": "sandbox-private"}
    return requests.post(f"{gateway.url}/request/token", json=keys, timeout=PATIENCE_SECONDS).json()["data"]["token"]


def v2(gateway, call, receipt_id, *, timeout=PATIENCE_SECONDS, **more):
    if call == "receipt":
        return requests.get(f"{gateway.url}/v2/receipt/{receipt_id}", auth=BASIC, timeout=timeout)
    body = {"receipt_id": receipt_id, **more}
    return requests.post(f"{gateway.url}/v2/{call}", json=body, auth=BASIC, timeout=timeout)


def v1(gateway, token, call, receipt_id, **more):
    headers = {"Authorization": token}
    if call == "receipt":
        return requests.get(f"{gateway.url}/receipt/{receipt_id}", headers=headers, timeout=PATIENCE_SECONDS)
    body = {"receipt_id": receipt_id, **more}
    return requests.post(f"{gateway.url}/{call}", data=body, headers=headers, timeout=PATIENCE_SECONDS)


def charges(gateway, receipt_id):
    return gateway.ledger(receipt_id)["charges"]


def status(gateway, receipt_id):
    return v2(gateway, "receipt", receipt_id).json()["status"]


@pytest.mark.parametrize(("fault", "left_at"), [("decline", -2), ("decline_stays_ready", 2)])
def test_a_decline_moves_no_money(gateway, v1_token, fault, left_at):
    in_v1, in_v2 = gateway.open(), gateway.open()
    gateway.script("approve", fault, times=2)

    declined_v1 = v1(gateway, v1_token, "submit", in_v1)
    declined_v2 = v2(gateway, "confirm", in_v2)

    assert declined_v1.status_code == declined_v1.json()["status"] == 500
    assert declined_v1.json()["code"] < 0
    assert (declined_v2.status_code, declined_v2.json()["error_code"]) == (400, "RC_CONFIRM_FAILED")
    assert declined_v2.json()["pg_error_code"]
    assert [status(gateway, receipt_id) for receipt_id in (in_v1, in_v2)] == [left_at, left_at]
    assert gateway.ledger()["totals"]["charges"] == 0


@pytest.mark.parametrize(("fault", "truth"), [("lost_answer", 1), ("no_answer", 0)])
def test_a_closed_connection_hides_either_truth(gateway, fault, truth):
    receipt_id = gateway.open()
    gateway.script("approve", fault)

    with pytest.raises(requests.ConnectionError):
        v2(gateway, "confirm", receipt_id)

    assert charges(gateway, receipt_id) == truth


@pytest.mark.parametrize(("acts", "truth"), [(True, 1), (False, 0)])
def test_a_hanging_call_hides_either_truth(gateway, acts, truth):
    receipt_id = gateway.open()
    gateway.script("approve", "hang", acts=acts, seconds=60)

    with pytest.raises(requests.ReadTimeout):
        v2(gateway, "confirm", receipt_id, timeout=0.5)

    assert charges(gateway, receipt_id) == truth


@pytest.mark.parametrize(("acts", "truth"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("fault", ["http_500", "http_502_html", "half_json", "not_json"])
def test_a_useless_answer_hides_either_truth(gateway, fault, acts, truth):
    receipt_id = gateway.open()
    gateway.script("approve", fault, acts=acts)

    answer = v2(gateway, "confirm", receipt_id)

    if fault == "http_500":
        assert (answer.status_code, answer.json()["error_code"]) == (500, "RC_CONFIRM_CRITICAL_FAILED")
    else:
        assert answer.status_code == (502 if fault == "http_502_html" else 200 if acts else 500)
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
            json.loads(answer.content)
    assert charges(gateway, receipt_id) == truth


def test_an_answer_in_drops_takes_longer_than_a_pause_between_two_bytes(gateway):
    """A read timeout that only measures the silence never fires."""
    receipt_id = gateway.open()
    gateway.script("receipt", "drip", seconds=0.002)

    began = time.monotonic()
    answer = v2(gateway, "receipt", receipt_id, timeout=0.5)

    assert answer.json()["receipt_id"] == receipt_id
    assert time.monotonic() - began > 1


def test_a_huge_answer_is_true_and_over_a_mebibyte(gateway):
    receipt_id = gateway.open()
    gateway.script("approve", "huge_body")

    answer = v2(gateway, "confirm", receipt_id)

    assert len(answer.content) > 1024 * 1024
    assert answer.json()["status"] == 1


def test_401_and_429_are_not_processed(gateway):
    receipt_id = gateway.open()
    gateway.script("approve", "http_401")
    gateway.script("approve", "http_429", seconds=3)

    first, second, third = (v2(gateway, "confirm", receipt_id) for _ in range(3))

    assert (first.status_code, first.json()["error_code"]) == (401, "TOKEN_KEY_INVALID")
    assert (second.status_code, second.headers["Retry-After"]) == (429, "3")
    assert third.json()["status"] == 1
    assert charges(gateway, receipt_id) == 1


def test_a_stuck_approval_stays_in_flight_until_it_is_changed(gateway, v1_token):
    receipt_id = gateway.open()
    gateway.script("approve", "stuck_in_flight")

    assert v2(gateway, "confirm", receipt_id).json()["error_code"] == "RC_CONFIRM_CRITICAL_FAILED"
    assert status(gateway, receipt_id) == IN_FLIGHT_V2
    assert v1(gateway, v1_token, "receipt", receipt_id).json()["data"]["status"] == IN_FLIGHT_V1
    assert v2(gateway, "confirm", receipt_id).json()["error_code"] == "RC_NOT_CONFIRM_READY"
    assert charges(gateway, receipt_id) == 0

    gateway.change(receipt_id, status=1)

    assert charges(gateway, receipt_id) == 1


def test_a_slow_approval_ends_paid_though_the_caller_has_gone(gateway):
    receipt_id = gateway.open()
    gateway.script("approve", "slow_approval", seconds=1)

    with pytest.raises(requests.ReadTimeout):
        v2(gateway, "confirm", receipt_id, timeout=0.3)

    assert status(gateway, receipt_id) == IN_FLIGHT_V2
    give_up = time.monotonic() + PATIENCE_SECONDS
    while status(gateway, receipt_id) == IN_FLIGHT_V2:
        assert time.monotonic() < give_up
    assert charges(gateway, receipt_id) == 1


def test_a_wrong_amount_is_only_shown(gateway):
    receipt_id = gateway.open(price=3000)
    gateway.script("receipt", "wrong_amount")
    gateway.script("approve", "wrong_amount", amount=2990)

    assert v2(gateway, "receipt", receipt_id).json()["price"] == 3001
    assert v2(gateway, "confirm", receipt_id).json()["price"] == 2990
    assert v2(gateway, "receipt", receipt_id).json()["price"] == 3000
    assert gateway.ledger(receipt_id)["charged"] == 3000


def test_a_200_that_is_no_payment_charges_nothing(gateway):
    receipt_id = gateway.open()
    gateway.script("approve", "not_paid_200", status=4)

    answer = v2(gateway, "confirm", receipt_id)

    assert (answer.status_code, answer.json()["status"]) == (200, 4)
    assert charges(gateway, receipt_id) == 0


@pytest.mark.parametrize("number", [3, 40, -77])
def test_any_number_can_be_shown_as_the_status_in_both_versions(gateway, v1_token, number):
    receipt_id = gateway.open()
    gateway.script("receipt", "status", status=number, times=2)

    assert v2(gateway, "receipt", receipt_id).json()["status"] == number
    assert v1(gateway, v1_token, "receipt", receipt_id).json()["data"]["status"] == number
    assert v2(gateway, "receipt", receipt_id).json()["status"] == 2


def test_a_refused_cancel_gives_nothing_back_and_can_be_asked_again(gateway, v1_token):
    receipt_id = gateway.open(status=1)
    gateway.script("cancel", "cancel_refused", times=2)

    refused_v2 = v2(gateway, "cancel", receipt_id, cancel_id="c-1")
    refused_v1 = v1(gateway, v1_token, "cancel", receipt_id, cancel_id="c-1")

    assert (refused_v2.status_code, refused_v2.json()["error_code"]) == (400, "RC_CANCEL_SERVER_ERROR")
    assert refused_v1.status_code == 500
    assert refused_v1.json()["code"] < 0
    assert v2(gateway, "cancel", receipt_id, cancel_id="c-1").json()["status"] == 20
    assert gateway.ledger(receipt_id)["cancels"] == 1


def test_a_lingering_cancel_shows_minus_30_in_v1_until_it_is_done(gateway, v1_token):
    receipt_id = gateway.open(status=1)
    gateway.script("cancel", "cancel_in_progress")

    assert v1(gateway, v1_token, "cancel", receipt_id).json()["code"] < 0
    assert v1(gateway, v1_token, "receipt", receipt_id).json()["data"]["status"] == -30
    assert gateway.ledger(receipt_id)["cancels"] == 0

    gateway.change(receipt_id, status=20)

    account = gateway.ledger(receipt_id)
    assert (account["cancels"], account["cancelled"], account["moves"][-1]["via"]) == (1, 3000, "control")


def test_a_cancel_made_elsewhere_leaves_the_receipt_at_1(gateway, v1_token):
    """Bootpay doesn't hear of a cancel in the payment company's console, and then says "already cancelled"."""
    receipt_id = gateway.open(status=1)
    gateway.script("cancel", "already_cancelled", times=2)

    assert v1(gateway, v1_token, "cancel", receipt_id).json()["message"] == "기취소된 건입니다"
    assert v2(gateway, "cancel", receipt_id).json()["error_code"] == "RC_ALREADY_CANCELLED"
    assert status(gateway, receipt_id) == 1


@pytest.mark.parametrize(("fault", "truth"), [("lost_answer", 1), ("no_answer", 0)])
def test_a_cancel_can_lose_its_answer_too(gateway, fault, truth):
    receipt_id = gateway.open(status=1)
    gateway.script("cancel", fault)

    with pytest.raises(requests.ConnectionError):
        v2(gateway, "cancel", receipt_id)

    assert gateway.ledger(receipt_id)["cancels"] == truth


def test_a_receipt_can_be_denied_though_it_is_there(gateway, v1_token):
    receipt_id = gateway.open()
    gateway.script("receipt", "not_found", times=2)
    gateway.script("approve", "not_found")

    denied_v2, denied_v1 = v2(gateway, "receipt", receipt_id), v1(gateway, v1_token, "receipt", receipt_id)
    unknown_v2, unknown_v1 = v2(gateway, "receipt", "unknown"), v1(gateway, v1_token, "receipt", "unknown")

    assert (denied_v2.status_code, denied_v2.json()) == (unknown_v2.status_code, unknown_v2.json())
    assert (denied_v1.status_code, denied_v1.json()) == (unknown_v1.status_code, unknown_v1.json())
    assert v2(gateway, "confirm", receipt_id).status_code == 404
    assert charges(gateway, receipt_id) == 0
    assert status(gateway, receipt_id) == 2


@pytest.mark.parametrize("path", ["request/token", "lookup/order/order-1"])
def test_tokens_and_order_look_ups_can_fail_as_well(gateway, path):
    gateway.open("order-1")
    call = "token" if "token" in path else "lookup"
    gateway.script(call, "http_502_html")
    method = "POST" if call == "token" else "GET"

    answer = requests.request(method, f"{gateway.url}/v2/{path}", json={}, auth=BASIC, timeout=PATIENCE_SECONDS)

    assert answer.status_code == 502


def test_a_receipts_own_script_goes_before_the_one_for_any(gateway):
    scripted, other = gateway.open(), gateway.open()
    gateway.script("approve", "http_500")
    gateway.script("approve", "decline", receipt_id=scripted)

    assert v2(gateway, "confirm", scripted).json()["error_code"] == "RC_CONFIRM_FAILED"
    assert v2(gateway, "confirm", other).json()["error_code"] == "RC_CONFIRM_CRITICAL_FAILED"
    assert v2(gateway, "confirm", other).json()["status"] == 1


def test_a_script_without_an_end_lasts_until_it_is_cleared(gateway):
    receipt_id = gateway.open()
    gateway.script("receipt", "http_429", times=0)

    assert [v2(gateway, "receipt", receipt_id).status_code for _ in range(3)] == [429, 429, 429]
    gateway.clear_faults()
    assert status(gateway, receipt_id) == 2


def test_a_fault_that_makes_no_sense_is_refused(gateway):
    for call, fault, more in [
        ("approve", "nonsense", {}),
        ("receipt", "decline", {}),
        ("approve", "decline", {"acts": False}),
        ("approve", "decline", {"tmies": 2}),
    ]:
        with pytest.raises(ValueError, match="422"):
            gateway.script(call, fault, **more)


def test_every_fault_can_be_scripted_for_every_call_it_is_for(gateway):
    for name, fault in FAULTS.items():
        for call in fault.calls:
            assert gateway.script(call, name)["fault"] == name


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_two_approvals_at_once_charge_once(version):
    """The winner is still at the payment company when the loser asks: the loser must not hear a success of its own."""
    callers = 4
    with RunningGateway("--latency-approve", "0.5") as slow:
        receipt_id = slow.open()
        keys = {"application_id": "sandbox-application", "private_key": "sandbox-private"}
        token = requests.post(f"{slow.url}/request/token", json=keys, timeout=PATIENCE_SECONDS).json()["data"]["token"]
        barrier = threading.Barrier(callers)
        answers = []

        def ask():
            barrier.wait()
            both = {"v1": lambda: v1(slow, token, "submit", receipt_id), "v2": lambda: v2(slow, "confirm", receipt_id)}
            answers.append(both[version]().status_code)

        threads = [threading.Thread(target=ask) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        account = slow.ledger(receipt_id)
        assert (account["charges"], account["calls"]["approve"]) == (1, callers)
        assert sorted(answers) == [200, 400, 400, 400]


def test_a_receipt_shows_in_flight_while_its_approval_takes_time():
    with RunningGateway("--latency-approve", "1") as slow:
        receipt_id = slow.open()
        asking = threading.Thread(target=v2, args=(slow, "confirm", receipt_id))
        asking.start()
        seen = []
        while asking.is_alive():
            seen.append(status(slow, receipt_id))
        asking.join()

        assert IN_FLIGHT_V2 in seen
        assert status(slow, receipt_id) == 1
