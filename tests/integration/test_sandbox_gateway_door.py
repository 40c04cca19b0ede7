"""The sandbox gateway's doors: encodings, endings, keys, control routes, and how the process begins and ends."""

import signal
import subprocess
import sys

import pytest
import requests

from sandbox.gateway import control
from sandbox.gateway.faults import FAULTS
from sandbox.gateway.running import ROOT, RunningGateway

BASIC = ("sandbox-client", "sandbox-secret")
KEYS = {"application_id": "sandbox-application", "private_key": "sandbox-private"}
PATIENCE_SECONDS = 10


def ask(gateway, method, path, **more):
    return requests.request(method, gateway.url + path, timeout=PATIENCE_SECONDS, **more)


@pytest.mark.parametrize("encoding", ["json", "data"])
@pytest.mark.parametrize("ending", ["", ".json"])
def test_v1_takes_both_encodings_and_both_endings(gateway, encoding, ending):
    receipt_id = gateway.open()

    token = ask(gateway, "POST", f"/request/token{ending}", **{encoding: KEYS}).json()["data"]["token"]
    headers = {"Authorization": token}
    seen = ask(gateway, "GET", f"/receipt/{receipt_id}{ending}", headers=headers)
    body = {"receipt_id": receipt_id, "unknown": "ignored"}
    paid = ask(gateway, "POST", f"/submit{ending}", headers=headers, **{encoding: body})
    back = ask(gateway, "POST", f"/cancel{ending}", headers=headers, **{encoding: {**body, "price": 1000}})

    assert [answer.status_code for answer in (seen, paid, back)] == [200, 200, 200]
    assert back.json()["data"]["remain_price"] == 2000


@pytest.mark.parametrize("encoding", ["json", "data"])
@pytest.mark.parametrize("ending", ["", ".json"])
def test_v2_takes_both_encodings_and_both_endings(gateway, encoding, ending):
    receipt_id = gateway.open("주문-7")

    token = ask(gateway, "POST", f"/v2/request/token{ending}", **{encoding: KEYS}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    seen = ask(gateway, "GET", f"/v2/receipt/{receipt_id}{ending}", headers=headers)
    found = ask(gateway, "GET", f"/v2/lookup/order/주문-7{ending}", headers=headers)
    body = {"receipt_id": receipt_id, "unknown": "ignored"}
    paid = ask(gateway, "POST", f"/v2/confirm{ending}", headers=headers, **{encoding: body})
    back = ask(gateway, "POST", f"/v2/cancel{ending}", headers=headers, **{encoding: {**body, "cancel_price": 1000}})

    assert [answer.status_code for answer in (seen, paid, back)] == [200, 200, 200]
    assert [receipt["receipt_id"] for receipt in found.json()] == [receipt_id]
    assert back.json()["cancelled_price"] == 1000


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/receipt/x", {}),
        ("/receipt/x", {"Authorization": "Bearer {token}"}),
        ("/v2/receipt/x", {}),
        ("/v2/receipt/x", {"Authorization": "{token}"}),
        ("/v2/receipt/x", {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}),
        ("/v2/receipt/x", {"Authorization": "Basic *"}),
    ],
)
def test_each_version_takes_only_its_own_scheme(gateway, path, headers):
    token = ask(gateway, "POST", "/request/token", json=KEYS).json()["data"]["token"]
    filled = {name: value.format(token=token) for name, value in headers.items()}

    assert ask(gateway, "GET", path, headers=filled).status_code == 401


def test_nothing_unreadable_gets_in(gateway):
    for body in (b"{", b"[]", b'{"receipt_id": NaN}', b"\xff"):
        answer = ask(
            gateway, "POST", "/v2/confirm", data=body, auth=BASIC, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400
    receipt_id = gateway.open(status=1)
    for price in ("a lot", -1, 0, "1.5", True):
        body = {"receipt_id": receipt_id, "cancel_price": price}
        assert ask(gateway, "POST", "/v2/cancel", json=body, auth=BASIC).status_code == 400
    assert gateway.ledger(receipt_id)["cancels"] == 0


def test_unknown_paths_are_404_in_the_words_of_each_version(gateway):
    assert ask(gateway, "GET", "/submit").json()["status"] == 404
    assert ask(gateway, "GET", "/v2/confirm").json()["error_code"]
    assert ask(gateway, "GET", "/lookup/order/order-1").status_code == 404


def test_dollars_go_out_with_all_their_digits(gateway):
    receipt_id = gateway.open(price="10.10", currency="USD")

    assert '"price": 10.10,' in ask(gateway, "GET", f"/v2/receipt/{receipt_id}", auth=BASIC).text


def test_the_ledger_adds_up_by_receipt_by_order_and_in_all(gateway):
    """Two receipts of one order both charged: what a worker must never do has to be plain to see."""
    ids = gateway.control("POST", "/sandbox/receipts", [{"order_id": "o-1", "price": 1000}] * 2)["receipt_ids"]
    for receipt_id in ids:
        ask(gateway, "POST", "/v2/confirm", json={"receipt_id": receipt_id}, auth=BASIC)
    ask(gateway, "POST", "/v2/cancel", json={"receipt_id": ids[0], "cancel_price": 400}, auth=BASIC)

    ledger = gateway.ledger()

    assert ledger["orders"]["o-1"] == {
        "charges": 2,
        "charged": {"KRW": 2000},
        "cancels": 1,
        "cancelled": {"KRW": 400},
    }
    assert ledger["totals"]["calls"] == {"token": 0, "receipt": 0, "approve": 2, "cancel": 1, "lookup": 0}
    assert [ledger["receipts"][receipt_id]["cancelled"] for receipt_id in ids] == [400, 0]
    assert [move["kind"] for move in gateway.ledger(ids[0])["moves"]] == ["charge", "cancel"]


def test_the_ledger_can_show_a_double_charge(gateway):
    """The control: a gateway made to charge twice is found out."""
    receipt_id = gateway.open()
    for _ in range(2):
        gateway.change(receipt_id, status=2)
        ask(gateway, "POST", "/v2/confirm", json={"receipt_id": receipt_id}, auth=BASIC)

    assert gateway.ledger()["totals"]["charged_twice"] == [receipt_id]


def test_a_receipt_opened_as_paid_was_charged(gateway):
    receipt_id = gateway.open(status=1)

    account = gateway.ledger(receipt_id)

    assert (account["charges"], account["charged"], account["moves"][0]["via"]) == (1, 3000, "control")


def test_changes_are_told_and_the_ledger_follows_the_money(gateway):
    receipt_id = gateway.open(receipt_id="abc")

    gateway.change("abc", status=1, price=5000)
    told = gateway.change("abc", cancelled_price=2000, order_id="o-2", purchased_at="2026-11-23T01:00:00Z")

    assert (told["status"], told["price"], told["cancelled_price"], told["order_id"]) == (1, 5000, 2000, "o-2")
    assert told["purchased_at"] == "2026-11-23T10:00:00+09:00"
    account = gateway.ledger(receipt_id)
    assert (account["charged"], account["cancelled"]) == (5000, 2000)
    assert [receipt["receipt_id"] for receipt in gateway.receipts(order_id="o-2", status=1)] == ["abc"]
    assert gateway.receipts(order_id="order-1") == []


def test_a_change_that_makes_no_sense_changes_nothing(gateway):
    receipt_id = gateway.open()
    before = gateway.receipts()

    for wrong in ({"status": None}, {"order_id": None}, {"status": 1, "price": "1.5"}, {"stauts": 1}):
        with pytest.raises(ValueError, match="422"):
            gateway.change(receipt_id, **wrong)

    assert gateway.receipts() == before


def test_receipts_that_make_no_sense_are_refused_whole(gateway):
    gateway.open(receipt_id="abc")

    for wrong in (
        [{"order_id": "o", "price": 1}, {"order_id": "o", "price": "1.5"}],
        {"order_id": "o", "price": 1, "receipt_id": "a/b"},
        {"order_id": "o", "price": 1, "receipt_id": "abc"},
        {"order_id": "o", "price": 1, "currency": "EUR"},
        {"order_id": "o"},
    ):
        with pytest.raises(ValueError, match=r"^4"):
            gateway.control("POST", "/sandbox/receipts", wrong)

    assert len(gateway.receipts()) == 1


def test_other_keys_can_be_given():
    with RunningGateway("--client-key", "mine", "--secret-key", "hush") as gateway:
        receipt_id = gateway.open()

        assert ask(gateway, "GET", f"/v2/receipt/{receipt_id}", auth=("mine", "hush")).status_code == 200
        assert ask(gateway, "GET", f"/v2/receipt/{receipt_id}", auth=BASIC).status_code == 401


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_even_while_an_answer_hangs(end):
    with RunningGateway() as gateway:
        receipt_id = gateway.open()
        gateway.script("receipt", "hang", seconds=600)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{gateway.url}/v2/receipt/{receipt_id}", auth=BASIC, timeout=0.3)

        gateway.process.send_signal(end)

        assert gateway.process.wait(PATIENCE_SECONDS) == 0


def test_a_port_in_use_is_said_in_one_line(gateway):
    port = gateway.url.rpartition(":")[2]

    ended = subprocess.run(
        [sys.executable, "-m", "sandbox.gateway", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert port in ended.stderr


def test_it_says_that_it_lives(gateway):
    assert ask(gateway, "GET", "/healthz").json() == {"ok": True}


def test_the_page_about_it_names_every_fault_and_every_control_route():
    page = (ROOT / "docs" / "sandbox-gateway.md").read_text()

    assert [name for name, fault in FAULTS.items() if fault.calls and f"| `{name}` |" not in page] == []
    assert [path for method, path, _ in control.ROUTES if f"`{method} {path.partition('/{')[0]}" not in page] == []
