"""A receipt's story, as a person reads it and as data."""

import io

import pytest
from rich.console import Console

from confirmation.answers import Refused
from confirmation.confirmation import Job
from confirmation.errors import ClaimLost
from confirmation.order import Money, Order
from sandbox.twins import Fault, TwinReceipt
from tests.integration.duty_house import PAID, WON, open_house
from worker.duty.explain import as_data, show
from worker.store.callbacks import Callbacks
from worker.store.reading import Reading


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        yield house


def read(house, receipt_id):
    return Reading(house.engine).whole_story(receipt_id)


def told(house, receipt_id):
    """The story as lines of single-spaced words."""
    out = io.StringIO()
    show(read(house, receipt_id), Console(file=out, width=200, markup=False, highlight=False))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def steps_of(lines):
    """The step lines without their time and seconds."""
    begin = next(number for number, line in enumerate(lines) if line.startswith("time (UTC)"))
    return [line.split(" ", 3)[3] for line in lines[begin + 1 : lines.index("", begin)]]


def test_a_confirmed_receipt_tells_how_it_went(house):
    house.stock.set("tee", 5, "test")
    house.carry("r-1", {"tee": 2})

    lines = told(house, "r-1")

    assert lines[:8] == [
        "receipt r-1",
        "order order-r-1",
        "amount 3,000 KRW",
        "items 2 of tee",
        "state confirmed",
        "sequence 1 told so far",
        "next nothing more by itself",
        "",
    ]
    assert steps_of(lines) == [
        "created",
        "1 received ready hold the stock, then submit",
        "1 submit paid confirm",
    ]
    assert lines[-1].startswith("1 payconfirm.confirmed ")
    assert lines[-1].endswith(" waiting")


def test_a_rejected_receipt_tells_why(house):
    house.stock.set("tee", 5, "test")
    house.carry("r-1", {"tee": 2}, declined_as=-2)

    lines = told(house, "r-1")

    assert {"state rejected", "reason declined", "message the card was declined"} <= set(lines)
    assert steps_of(lines) == [
        "created",
        "1 received ready hold the stock, then submit",
        "1 submit refused RC_CONFIRM_FAILED the card was declined look up what became of it",
        "1 submitting failed reject (declined)",
    ]


def test_a_voided_receipt_tells_where_the_money_went(house):
    house.carry("r-1", {"unknown": 1}, **PAID)

    assert steps_of(told(house, "r-1")) == [
        "created",
        "1 received paid the money must go back (unknown_sku)",
        "1 voiding paid ask for the money back r-1-1",
        "1 cancel cancelled the money is back: end (unknown_sku)",
    ]


def test_times_are_utc_to_the_millisecond_with_seconds_since_the_first(house):
    house.carry("r-1")
    house.run("UPDATE payconfirm.confirmations SET created_at = '2026-11-23 10:00:00.1239+09'")
    house.run("UPDATE payconfirm.steps SET at = '2026-11-23 01:01:00.5+00'")

    lines = told(house, "r-1")

    assert "2026-11-23 01:00:00.123 +0.000 created" in lines
    assert any(line.startswith("2026-11-23 01:01:00.500 +60.376 1 received") for line in lines)


def test_a_receipt_that_people_were_asked_about_tells_its_events_in_order(house):
    house.carry("r-1", status=77)
    house.gateway.receipts["r-1"].pay()
    house.again(Job("r-1", fence=house.fence("r-1")))

    lines = told(house, "r-1")

    assert steps_of(lines) == [
        "created",
        "1 received a number nobody documented (status 77) ask people (gateway_unclear)",
        "2 review paid paid already: hold the stock, then confirm",
        "2 submitting paid confirm",
    ]
    assert [line.split()[:2] for line in lines[-2:]] == [["1", "payconfirm.review"], ["2", "payconfirm.confirmed"]]


def test_an_event_says_when_it_was_published(house):
    house.carry("r-1")
    house.run("UPDATE payconfirm.outbox SET published_at = '2026-11-23 01:01:00.5+00'")

    assert told(house, "r-1")[-1].endswith("2026-11-23 01:01:00.500")


def test_a_receipt_that_was_never_claimed_has_only_begun(house):
    house.ledger.keep(Order("r-1", "order-1", WON), 60)

    lines = told(house, "r-1")

    assert steps_of(lines) == ["created"]
    assert any(line.startswith("next a look, due at ") for line in lines)
    assert lines[-1] == "no event yet: nothing was told"


def test_a_claimed_receipt_says_that_a_worker_has_it(house):
    house.ledger.claim(Job("r-1", Order("r-1", "order-1", WON)), 10)

    assert any(line.startswith("next a worker has it until ") for line in told(house, "r-1"))


@pytest.mark.parametrize("leased", ["NULL", "'2026-11-23 01:01:00.5+00'"])
def test_what_nobody_has_come_for_says_since_when(house, leased):
    """A lease that is over is nobody's: "a worker has it" would send people to look for that worker."""
    house.ledger.claim(Job("r-1", Order("r-1", "order-1", WON)), 10)
    house.run(f"UPDATE payconfirm.confirmations SET due_at = '2026-11-23 01:01:00.5+00', leased_until = {leased}")

    assert "next due since 2026-11-23 01:01:00.500; nobody has come for it yet" in told(house, "r-1")


CALL = """
UPDATE payconfirm.callbacks SET state = :state, attempts = 3, last_status = :status, last_error = :error,
    due_at = CAST(:due AS timestamptz)
"""


def with_a_callback(house, **became):
    order = Order("r-1", "order-r-1", WON, {}, "https://shop.example/hook?token=hush")
    house.gateway.receipts["r-1"] = TwinReceipt("order-r-1", WON)
    house.again(Job("r-1", order))
    house.run(CALL, **({"status": None, "error": None, "due": None} | became))


def test_a_callback_that_failed_is_told_with_its_receipt(house):
    with_a_callback(house, state="failed", status=503, error="answered 503")

    lines = told(house, "r-1")

    assert "callback https://shop.example/hook" in lines
    assert lines[-2] == "sequence callback of to state tries last answer next try (UTC)"
    assert lines[-1] == "1 payconfirm.confirmed https://shop.example/hook failed 3 answered 503"
    assert "hush" not in str(lines)


def test_a_callback_that_waits_says_when_it_comes_again_and_one_that_was_taken_what_was_answered(house):
    with_a_callback(house, state="pending", due="2026-11-23 01:01:00.5+00")
    assert told(house, "r-1")[-1].endswith("hook pending 3 2026-11-23 01:01:00.500")

    house.run(CALL, state="delivered", status=204, error=None, due=None)
    assert told(house, "r-1")[-1].endswith("hook delivered 3 answered 204")


def test_as_data_callbacks_are_what_their_own_list_has(house):
    with_a_callback(house, state="failed", status=503, error="answered 503")

    assert as_data(read(house, "r-1"))["callbacks"] == Callbacks(house.engine).listed("failed", 10)


def test_the_step_of_a_worker_that_had_lost_its_claim_is_marked(house):
    """A person must not take what it decided for what happened."""

    class Slow:
        def look_up(self, receipt_id, *, start_by):
            house.run("UPDATE payconfirm.confirmations SET fence = gen_random_uuid()")
            return house.gateway.look_up(receipt_id, start_by=start_by)

    house.carry("r-1")  # opens it at the gateway, too
    house.run("TRUNCATE payconfirm.confirmations, payconfirm.steps, payconfirm.outbox")
    with pytest.raises(ClaimLost):
        house.again(Job("r-1", Order("r-1", "order-r-1", WON)), Slow())

    assert steps_of(told(house, "r-1"))[1].endswith("by a worker that had lost its claim: nothing was changed")
    assert [step["stale"] for step in as_data(read(house, "r-1"))["steps"]] == [True]


def test_a_receipt_that_another_document_took_over_tells_both_stories(house):
    house.carry("r-1")
    house.gateway.receipts["r-1"].order_id = "order-2"
    house.run("UPDATE payconfirm.confirmations SET state = 'rejected', reason = 'order_mismatch', owns_order = false")
    house.again(Job("r-1", Order("r-1", "order-2", WON)))

    steps = steps_of(told(house, "r-1"))

    assert steps[2] == "created anew: another document took the receipt over"
    assert steps[0].startswith("1 received")
    assert steps[3].startswith("1 received")
    assert as_data(read(house, "r-1"))["steps"][0]["seconds"] == 0


def test_the_gateways_words_reach_no_terminal_as_they_are(house):
    """A decline's message is a stranger's text: no escape sequence, and no markup of ours."""
    house.gateway.tell("r-1", "submit", Fault(Refused("RC_X", "\x1b[2J[red]no"), acts=False))
    house.carry("r-1")

    words = "\n".join(told(house, "r-1"))

    assert "\x1b" not in words
    assert "refused RC_X \\x1b[2J[red]no" in words


def test_as_data_it_is_the_result_with_steps_and_events(house):
    house.stock.set("tee", 5, "test")
    house.carry("r-1", {"tee": 2}, amount=Money(1050, "USD"))

    data = as_data(read(house, "r-1"))

    assert {name: data[name] for name in ("receipt_id", "state", "amount", "currency", "sequence", "items")} == {
        "receipt_id": "r-1", "state": "confirmed", "amount": "10.50", "currency": "USD", "sequence": 1,
        "items": {"tee": 2},
    }  # fmt: skip
    assert [(step["phase"], step["seen"], step["decided"]) for step in data["steps"]] == [
        ("received", "ready", "reserve"),
        ("submit", "paid", "commit"),
    ]
    assert data["steps"][0]["at"] > data["created_at"]
    assert [(event["sequence"], event["type"], event["published_at"]) for event in data["events"]] == [
        (1, "payconfirm.confirmed", None)
    ]


def test_a_receipt_without_a_row_has_no_story(house):
    assert read(house, "r-1") is None
