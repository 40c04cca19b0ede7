"""Due rows become messages: which, in what order, and how often."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from confirmation.confirmation import Job
from tests import ledgers
from worker.broker.queues import BrokerAway
from worker.relay.sweep import SHORT_QUEUE, Sweep
from worker.store.ledger import Ledger
from worker.store.schedule import Lane, Schedule

DEADLINE = timedelta(minutes=10)


class Sent:
    """Counts what would be sent, and says how many wait."""

    def __init__(self, **waiting):
        self.messages = []
        self.lengths = {"payconfirm": waiting.get("new", 0), "payconfirm.again": waiting.get("again", 0)}

    def waiting(self, queue):
        return self.lengths[queue]

    def again(self, receipt_id, fence):
        self.messages.append((receipt_id, fence))


class Full(Sent):
    """Says how many wait, and takes none."""

    def again(self, *_):
        raise BrokerAway("OutOfMemoryError")


def make_due(engine, *receipt_ids, ago="1 second"):
    with engine.connect() as connection:
        connection.execute(
            text(
                "UPDATE payconfirm.confirmations SET due_at = clock_timestamp() - CAST(:ago AS interval),"
                " leased_until = CASE WHEN leased_until IS NOT NULL THEN clock_timestamp() - CAST(:ago AS interval) END"
                " WHERE receipt_id = ANY(:ids)"
            ),
            {"ids": list(receipt_ids), "ago": ago},
        )


def test_a_dead_workers_receipt_is_sent_with_the_fence_that_was_seen_and_claims_once(engine):
    ledger, sent = Ledger(engine), Sent()
    dead = ledgers.claimed(ledger, ledgers.order("r1"))
    make_due(engine, "r1")

    assert Sweep(Schedule(engine, DEADLINE), sent).turn()

    [(receipt_id, fence)] = sent.messages
    assert fence == dead.hold.fence
    assert ledger.claim(Job(receipt_id, fence=fence), 10).hold is not None
    assert ledger.claim(Job(receipt_id, fence=fence), 10).hold is None


def test_a_running_lease_is_left_alone(engine):
    ledger, sent = Ledger(engine), Sent()
    ledgers.claimed(ledger, ledgers.order("r1"))

    assert not Sweep(Schedule(engine, DEADLINE), sent).turn()


def test_expired_leases_go_before_parked_rows_when_there_is_little_room(engine):
    ledger, sent = Ledger(engine), Sent(again=SHORT_QUEUE - 1)
    ledgers.parked(ledger, ledgers.claimed(ledger, ledgers.order("parked")), 0)
    ledgers.claimed(ledger, ledgers.order("dead"))
    make_due(engine, "parked", ago="1 hour")
    make_due(engine, "dead")

    Sweep(Schedule(engine, DEADLINE), sent).turn()

    assert [receipt_id for receipt_id, _ in sent.messages] == ["dead"]


def test_a_long_queue_is_not_fed(engine):
    ledger = Ledger(engine)
    sent = Sent(new=SHORT_QUEUE, again=SHORT_QUEUE)
    ledger.keep(ledgers.order("new"), 0)
    ledgers.parked(ledger, ledgers.claimed(ledger, ledgers.order("parked")), 0)
    make_due(engine, "new", "parked")

    assert not Sweep(Schedule(engine, DEADLINE), sent).turn()


def test_a_new_row_is_sent_again_once_half_its_deadline_is_gone_however_long_the_queue(engine):
    ledger, sent = Ledger(engine), Sent(new=10_000)
    ledger.keep(ledgers.order("new"), 0)
    make_due(engine, "new", ago="301 seconds")

    sweep = Sweep(Schedule(engine, DEADLINE), sent)

    assert sweep.turn()
    assert not sweep.turn(), "it was sent a moment ago"
    assert sent.messages == [("new", None)]


def test_an_overdue_row_that_a_full_broker_refused_is_sent_as_soon_as_it_takes_messages_again(engine):
    """
    The next time would be half a deadline later: too late to submit.
    """
    Ledger(engine).keep(ledgers.order("r1"), 0)
    make_due(engine, "r1", ago="6 minutes")
    full, sent = Full(new=1000), Sent(new=1000)

    with pytest.raises(BrokerAway):
        Sweep(Schedule(engine, DEADLINE), full).turn()
    Sweep(Schedule(engine, DEADLINE), sent).turn()

    assert sent.messages == [("r1", None)]


def test_sending_moves_the_row_on_so_that_the_next_turn_sends_nothing(engine):
    ledger, sent = Ledger(engine), Sent()
    ledger.keep(ledgers.order("new"), 0)
    make_due(engine, "new")
    sweep = Sweep(Schedule(engine, DEADLINE), sent)

    sweep.turn()
    sweep.turn()

    assert sent.messages == [("new", None)]


def test_two_relays_never_take_the_same_row(engine):
    ledger = Ledger(engine)
    for number in range(10):
        ledger.keep(ledgers.order(f"r{number}"), 0)
    make_due(engine, *(f"r{number}" for number in range(10)))
    first, second = Schedule(engine, DEADLINE), Schedule(engine, DEADLINE)

    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.execute(
            text("SELECT receipt_id FROM payconfirm.confirmations WHERE receipt_id < 'r5' FOR UPDATE")
        )  # as the other relay's statement does while it runs
        taken = {due.receipt_id for due in first.take(Lane.NEVER_CLAIMED, 100)}

    assert taken == {f"r{number}" for number in range(5, 10)}
    assert {due.receipt_id for due in second.take(Lane.NEVER_CLAIMED, 100)} == {f"r{number}" for number in range(5)}
