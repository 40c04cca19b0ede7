"""A producer's transaction that stays open holds up what is told of its own receipt, and nobody else's."""

import json
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg2
import pytest

from confirmation.confirmation import Job
from confirmation.events import Event, EventType, uuid7
from confirmation.ports import Commit, Step
from confirmation.states import Reason, State
from tests import ledgers
from worker.store import outbox as outbox_module
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox

#: More than the relay takes in one turn here.
HELD = [f"held-{number}" for number in range(7)]
FREE = [f"free-{number}" for number in range(3)]
MOST = 5


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(outbox_module, "PATIENCE_SECONDS", 0.02)


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


@pytest.fixture
def outbox(engine):
    return Outbox(engine)


def reject(ledger, *receipt_ids):
    """End these so that another document may take them over."""
    for receipt_id in receipt_ids:
        ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order(receipt_id)), Reason.RECEIPT_NOT_FOUND)


def void(ledger, engine, receipt_id):
    """Tell a second event of it."""
    [fence] = rows(engine, "confirmations", f"receipt_id = '{receipt_id}'", "fence")
    claimed = ledger.claim(Job(receipt_id, fence=fence), ledgers.LEASE_SECONDS)
    after = replace(claimed, state=State.VOIDED, reason=Reason.LATE_APPROVAL)
    ledger.write(
        Commit(claimed, after, Step("rejected", "cancelled", "voided"), event=Event(uuid7(), EventType.VOIDED))
    )


@contextmanager
def left_open(engine, *receipt_ids, order_id="another"):
    """Enqueue these in a transaction that isn't ended."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(url)) as shop, shop.cursor() as cursor:
        for receipt_id in receipt_ids:
            document = {"receipt_id": receipt_id, "order_id": order_id, "amount": 3000}
            cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [json.dumps(document)])
        yield shop


def receipts(announcements):
    return [each.receipt_id for each in announcements]


def rows(engine, table, which, column="receipt_id"):
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT {column} FROM payconfirm.{table} WHERE {which}")
        return list(found.scalars())


def told(engine, which):
    """Of which receipts' events this is so."""
    return rows(engine, "outbox", f"{which} ORDER BY number")


def test_however_many_rows_are_locked_the_others_get_their_places(engine, ledger, outbox):
    reject(ledger, *HELD, *FREE)

    with left_open(engine, *HELD):
        assert outbox.place(MOST) == len(FREE)
        assert told(engine, "place IS NOT NULL") == FREE

    assert outbox.place(MOST) + outbox.place(MOST) == len(HELD)


def test_however_many_rows_are_locked_the_others_are_published(engine, ledger, outbox):
    reject(ledger, *HELD, *FREE)

    with left_open(engine, *HELD):
        assert receipts(outbox.take_events(MOST)) == FREE

    assert receipts(outbox.take_events(MOST)) + receipts(outbox.take_events(MOST)) == HELD


def test_however_many_rows_are_locked_the_others_results_are_stored_and_marked(engine, ledger, outbox):
    reject(ledger, *HELD, *FREE)

    with left_open(engine, *HELD):
        results = outbox.due_results(MOST)
        assert receipts(results) == FREE
        outbox.mark_stored(results)
        assert outbox.due_results(MOST) == []

    assert receipts(outbox.due_results(len(HELD))) == HELD


def test_one_that_is_locked_after_it_was_read_doesnt_keep_the_others_from_being_marked(engine, ledger, outbox):
    reject(ledger, "held", *FREE)
    events, results = outbox.take_events(10), outbox.due_results(10)

    with left_open(engine, "held"):
        outbox.mark_published(events)
        outbox.mark_stored(results)

    assert told(engine, "published_at IS NULL") == ["held"]
    assert told(engine, "result_due") == ["held"]


def test_one_that_is_locked_doesnt_keep_the_others_from_being_given_back(engine, ledger, outbox):
    reject(ledger, "held", *FREE)
    events = outbox.take_events(10)

    with left_open(engine, "held"):
        outbox.give_back(events)

        assert receipts(outbox.take_events(10)) == FREE


def test_what_is_told_later_of_a_locked_receipt_doesnt_go_before(engine, ledger, outbox):
    """
    The same document once more locks the row that was told last and not the receipt, which goes on.
    """
    reject(ledger, "held", *FREE)
    outbox.mark_stored(outbox.due_results(10))

    with left_open(engine, "held", order_id=ledgers.order("held").order_id):
        void(ledger, engine, "held")

        assert outbox.place(10) == len(FREE)
        assert receipts(outbox.take_events(10)) == FREE

    assert [outbox.place(10), outbox.place(10)] == [1, 1]
    assert told(engine, "receipt_id = 'held' AND published_at IS NULL") == ["held", "held"]
    outbox.mark_published(first := outbox.take_events(10))
    second = outbox.take_events(10)
    assert [(event.receipt_id, event.sequence) for event in first + second] == [("held", 1), ("held", 2)]
