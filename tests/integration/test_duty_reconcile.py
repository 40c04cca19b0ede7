"""The comparison with the gateway: what differs is found, what only moved meanwhile isn't."""

import pytest
from rich.console import Console

from confirmation.answers import Cancelled, Silence
from confirmation.confirmation import Job
from confirmation.events import uuid7
from confirmation.order import Money
from confirmation.ports import Terms, World
from confirmation.resolving import Resolving, Word
from confirmation.states import State
from sandbox.twins import Fault, TwinLock
from tests.integration.duty_house import PAID, WON, open_house
from worker.duty import reconcile
from worker.duty.audit import audit
from worker.store.operating import Operating
from worker.store.reading import Reading

AWAY = Fault(Silence("connection refused"))

#: What the gateway says of a receipt, and whether that differs from what its row says.
WORDS = [
    ("confirmed", {"status": 20, "cancelled": 3000}, "confirmed here, but the gateway says: cancelled in full"),
    ("confirmed", {"cancelled": 1000}, "confirmed here, but the gateway says: partly cancelled"),
    (
        "confirmed",
        {"amount": Money(3001, "KRW")},
        "confirmed here, but the gateway says: paid, other amount or currency",
    ),
    ("confirmed", {"order_id": "other"}, "confirmed here, but the gateway says: another order's"),
    ("rejected", PAID, "rejected here, but the gateway says: paid"),
    (
        "rejected",
        PAID | {"amount": Money(1, "KRW")},
        "rejected here, but the gateway says: paid, other amount or currency",
    ),
    ("rejected", PAID | {"cancelled": 1}, "rejected here, but the gateway says: partly cancelled"),
    ("rejected", {"api": "v1", "status": -20}, "rejected here, but the gateway says: a cancel failed"),
    ("rejected", {"status": 77}, "rejected here, but the gateway says: a number nobody documented (status 77)"),
    ("rejected", PAID | {"order_id": "other"}, None),
    ("rejected", {"status": 2}, None),
    ("rejected", {"status": 20}, None),
    ("rejected", {"status": 0}, None),
    ("voided", {"status": 1, "cancelled": 0}, "voided here, but the gateway says: paid"),
    ("voided", {"cancelled": 1}, "voided here, but the gateway says: partly cancelled"),
    ("submitting", PAID, None),
]


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        yield house


@pytest.fixture
def shop(house):
    house.fill()
    return house


def ask(house, gateway=None):
    return audit(house.engine, gateway or house.gateway, Console(stderr=True))


def found(report):
    return [(finding.check, finding.receipt_id, finding.message) for finding in report.findings.listed]


def test_what_the_gateway_says_of_receipts_of_every_kind_adds_up(shop):
    report = ask(shop)

    assert found(report) == []
    assert report.as_data()["money"] == {"KRW": {"confirmed": 3000, "paid_at_gateway": 3000}}
    assert report.as_data()["open"] == [
        {"receipt_id": "received", "state": "received", "gateway": "not yet authorised, or not there"},
        {"receipt_id": "review", "state": "review", "gateway": "a number nobody documented (status 77)"},
        {"receipt_id": "review_held", "state": "review", "gateway": "ready"},
        {"receipt_id": "submitting", "state": "submitting", "gateway": "ready"},
    ]


@pytest.mark.parametrize(("receipt_id", "word", "difference"), WORDS)
def test_the_gateway_is_taken_at_its_word(shop, receipt_id, word, difference):
    vars(shop.gateway.receipts[receipt_id]).update(word)

    assert found(ask(shop)) == ([("gateway", receipt_id, difference)] if difference else [])


@pytest.mark.parametrize("cancelled", [1000, 3000])
def test_a_cancel_seen_at_a_confirmed_receipt_is_told_as_drift_once_and_then_listed(shop, cancelled):
    shop.gateway.receipts["confirmed"].cancelled = cancelled
    assert ask(shop).as_data()["drift"] == []

    for _ in range(2):
        shop.again(Job("confirmed", fence=shop.fence("confirmed")))
        ask(shop)

    (listed,) = ask(shop).as_data()["drift"]
    assert listed["receipt_id"] == "confirmed"
    assert "cancelled" in listed["gateway"]
    story = Reading(shop.engine).whole_story("confirmed")
    assert [event.type for event in story.events] == ["payconfirm.confirmed", "payconfirm.drift"]
    assert story.confirmation.state is State.CONFIRMED


def test_a_confirmed_receipt_that_the_gateway_does_not_have_is_found(shop):
    del shop.gateway.receipts["confirmed"]

    message = "confirmed here, but the gateway says: not yet authorised, or not there"
    assert found(ask(shop)) == [("gateway", "confirmed", message)]


@pytest.mark.parametrize("end", ["confirmed", "rejected", "voided"])
def test_what_a_person_decided_against_a_gateway_that_has_no_clear_word_is_listed_and_no_fault(shop, end):
    resolve(shop, "review_held", State(end), status=77)

    report = ask(shop)

    assert found(report) == []
    unclear = "a number nobody documented (status 77)"
    said = {"receipt_id": "review_held", "state": end, "gateway": unclear, "by": "by kim"}
    assert report.as_data()["by_people"] == [said]
    out = Console(width=200)
    with out.capture() as shown:
        report.show(out)
    assert "decided by people" in shown.get()


@pytest.mark.parametrize(
    ("end", "word"), [("confirmed", {"status": -2}), ("confirmed", {"status": 2}), ("voided", PAID)]
)
def test_what_a_person_decided_is_found_once_the_gateway_says_something_else(shop, end, word):
    resolve(shop, "review_held", State(end), status=77)
    vars(shop.gateway.receipts["review_held"]).update(word)

    report = ask(shop)

    assert [finding[:2] for finding in found(report)] == [("gateway", "review_held")]
    assert report.by_people == []


def resolve(shop, receipt_id, end, **receipt):
    """Have a person end it by their word, while the gateway says this of it."""
    vars(shop.gateway.receipts[receipt_id]).update(receipt)
    world = World(shop.ledger, shop.gateway, TwinLock(shop.clock), Terms(), shop.clock.tick, lambda: 0.5, uuid7)
    resolved, _ = Resolving(Operating(shop.engine), world).resolve(receipt_id, Word(end, force=True, by="kim"))
    assert resolved.state is end


def test_a_rejected_receipt_in_flight_is_open_rather_than_different(shop):
    """The late looks are made for it."""
    shop.gateway.receipts["rejected"].status = 4

    report = ask(shop)

    assert found(report) == []
    assert {"receipt_id": "rejected", "state": "rejected", "gateway": "in flight"} in report.open


def test_money_that_is_paid_there_and_not_confirmed_here_shows_in_the_sums(shop):
    shop.gateway.receipts["submitting"].pay()

    assert ask(shop).money == {"KRW": {"confirmed": 3000, "paid_at_gateway": 6000}}


def test_money_that_went_back_there_is_taken_off_the_sums(shop):
    shop.gateway.receipts["confirmed"].cancelled = 1000

    assert ask(shop).money == {"KRW": {"confirmed": 3000, "paid_at_gateway": 2000}}


def test_no_word_is_a_finding_only_when_it_stays_away(shop):
    shop.gateway.tell("confirmed", "look_up", AWAY)
    shop.gateway.tell("review", "look_up", AWAY, AWAY)

    assert found(ask(shop)) == [("gateway", "review", "review, and the gateway gave no word")]


def test_a_gateway_that_is_away_is_not_asked_a_million_times(shop, monkeypatch):
    monkeypatch.setattr(reconcile, "PAGE", 3)
    for receipt_id in ("confirmed", "declined", "received"):
        shop.gateway.tell(receipt_id, "look_up", AWAY, AWAY)
    asked = len(shop.gateway.calls)

    report = ask(shop)

    assert len(shop.gateway.calls) == asked + 6
    assert found(report)[-1] == (
        "gateway", None, "stopped after received: the gateway gave no word about 3 receipts in a row",
    )  # fmt: skip


def test_every_page_is_walked_through(shop, monkeypatch):
    monkeypatch.setattr(reconcile, "PAGE", 3)
    shop.gateway.receipts["voided"].status = 77  # the last of the eight

    assert [finding[1] for finding in found(ask(shop))] == ["voided"]


def test_what_moves_during_the_look_up_is_no_difference(shop):
    """A rejected receipt that is found paid goes to voiding at that very moment, by a worker's late look."""

    class Meanwhile:
        def look_up(self, receipt_id, *, start_by):
            answer = shop.gateway.look_up(receipt_id, start_by=start_by)
            if receipt_id == "rejected":
                shop.run("UPDATE payconfirm.confirmations SET state = 'voiding' WHERE receipt_id = 'rejected'")
            return answer

    vars(shop.gateway.receipts["rejected"]).update(PAID)

    report = ask(shop, Meanwhile())

    assert found(report) == []
    assert {"receipt_id": "rejected", "state": "voiding", "gateway": "paid"} in report.open


@pytest.mark.parametrize(("already", "differs"), [(True, False), (False, True)])
def test_a_receipt_that_was_cancelled_already_may_stay_paid_in_v1(house, already, differs):
    """Cancelled in the payment company's console, it stays at 1 for ever; a plain "cancelled" must not."""
    house.gateway.tell("r-1", "cancel", Fault(Cancelled("기취소된 건입니다", already=already), acts=False))
    assert house.carry("r-1", {"unknown": 1}, api="v1", **PAID).state == "voided"

    report = ask(house)

    assert [finding[1] for finding in found(report)] == (["r-1"] if differs else [])
    assert report.money.get("KRW", {}).get("paid_at_gateway", 0) == (WON.minor if differs else 0)


def test_sums_are_kept_apart_by_currency(house):
    house.carry("won")
    house.carry("dollars", amount=Money(1050, "USD"))

    assert ask(house).as_data()["money"] == {
        "KRW": {"confirmed": 3000, "paid_at_gateway": 3000},
        "USD": {"confirmed": "10.50", "paid_at_gateway": "10.50"},
    }
