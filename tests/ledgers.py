"""What the tests of the store share: an order, a claim, and the commits of the way that goes well."""

from dataclasses import replace
from datetime import timedelta

from confirmation.confirmation import Confirmation, Job
from confirmation.decisions import Refusal
from confirmation.events import Event, EventType, uuid7
from confirmation.order import Money, Order
from confirmation.ports import Commit, Step, Stock
from confirmation.states import Reason, State
from worker.store.ledger import Ledger

LEASE_SECONDS = 10.0


def order(
    receipt_id: str, order_id: str | None = None, *, items: dict[str, int] | None = None, won: int = 3000
) -> Order:
    return Order(receipt_id, order_id or f"order-{receipt_id}", Money(won, "KRW"), items or {})


def claimed(ledger: Ledger, wanted: Order) -> Confirmation:
    confirmation = ledger.claim(Job(wanted.receipt_id, wanted), LEASE_SECONDS)
    assert confirmation.hold is not None
    return confirmation


def reserve(ledger: Ledger, confirmation: Confirmation) -> Confirmation | Refusal:
    after = replace(confirmation, state=State.SUBMITTING, owns_order=True, submits=1)
    return ledger.reserve(
        Commit(confirmation, after, Step("received", "ready", "reserve"), lease_seconds=LEASE_SECONDS)
    )


def confirmed(ledger: Ledger, confirmation: Confirmation) -> Confirmation:
    event = Event(uuid7(), EventType.CONFIRMED)
    after = replace(confirmation, state=State.CONFIRMED)
    step = Step("submitting", "paid", "commit")
    return ledger.write(Commit(confirmation, after, step, stock=Stock.SELL, event=event))


def rejected(
    ledger: Ledger, confirmation: Confirmation, reason: Reason = Reason.DECLINED, wait: timedelta | None = None
) -> Confirmation:
    event = Event(uuid7(), EventType.REJECTED)
    after = replace(confirmation, state=State.REJECTED, reason=reason, owns_order=False)
    step = Step("submitting", "failed", "reject")
    return ledger.write(Commit(confirmation, after, step, stock=Stock.RELEASE, event=event, wait=wait))


def parked(ledger: Ledger, confirmation: Confirmation, seconds: float) -> Confirmation:
    step = Step("received", "no word: timed out", "wait")
    return ledger.write(Commit(confirmation, confirmation, step, wait=timedelta(seconds=seconds)))
