"""The rows in memory, by the very rules of the real store."""

import heapq
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from confirmation.confirmation import Confirmation, Hold, Job
from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, DifferentDocument
from confirmation.events import EventType, result_document
from confirmation.hooks import Hook, called, order_of, part_in
from confirmation.order import Order
from confirmation.ports import Commit, Step
from confirmation.states import REPLACEABLE, State
from sandbox.twins.clock import Clock
from sandbox.twins.numbers import numbered
from sandbox.twins.stock import CheckViolated, TwinStock

#: A row whose message was sent is due again after this, should the message get lost.
SENT_AGAIN = timedelta(seconds=5)


@dataclass
class TwinRow:
    """One row of `confirmations`."""

    confirmation: Confirmation
    fence: UUID | None = None
    leased_until: datetime | None = None
    due_at: datetime | None = None
    #: Whether somebody asked for a look since the claim: what the worker saw may be from before.
    asked: bool = False


@dataclass(frozen=True)
class Announcement:
    """One row of `outbox`."""

    id: UUID
    sequence: int
    type: EventType
    document: dict[str, Any]


class TwinStore:
    """A `confirmation.ports.Store` that forgets everything when the process ends."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        #: The shop's own, which takes part in the commits.
        self.hook: Hook | None = None
        self.rows: dict[str, TwinRow] = {}
        self.stock = TwinStock()
        self.steps: dict[str, list[Step]] = {}
        self.outbox: dict[str, list[Announcement]] = {}
        #: What was stored again for those who poll.
        self.told_again: list[Announcement] = []
        #: The unique index on the owned order.
        self.owners: dict[str, str] = {}
        self._schedule: list[tuple[datetime, str]] = []
        self._fences = count(1)

    # The port ---------------------------------------------------------------------------------------------------------

    def claim(self, job: Job, lease_seconds: float) -> Confirmation:
        """Claim the job's receipt if nobody has it, inserting the row where the job carries the order."""
        granted = self.clock.tick()
        row = self._insert(job.order, self.clock.now()) if job.order else self.rows[job.receipt_id]
        if not _claimable(row) or row.fence != job.fence or self._leased(row):
            return row.confirmation
        self.fence_anew(row)
        row.asked = False
        claimed = row.confirmation
        row.confirmation = replace(claimed, attempts=claimed.attempts + 1, idle_claims=claimed.idle_claims + 1)
        return self._grant(row, granted, lease_seconds)

    def keep(self, order: Order, due_seconds: float) -> Confirmation:
        """Make sure that the row exists, due in so many seconds if it is new."""
        return self._insert(order, self.clock.now() + timedelta(seconds=due_seconds)).confirmation

    def renew(self, confirmation: Confirmation, lease_seconds: float) -> Confirmation:
        """Extend the hold before the next call."""
        granted = self.clock.tick()
        row = self.rows[confirmation.receipt_id]
        if not self._matches(row, confirmation):
            raise ClaimLost(f"{confirmation.receipt_id} was claimed by another worker")
        return replace(confirmation, hold=self._grant(row, granted, lease_seconds).hold)

    def reserve(self, commit: Commit) -> Confirmation | Refusal:
        """Take every item or none, own the order, and write the commit; or say why not and write nothing."""
        granted = self.clock.tick()
        row = self._held_row(commit)
        order = commit.before.order
        refusal = self._order_refusal(order) or self.stock.refusal(order.items)
        if refusal:
            return refusal
        commit = self._with_the_shop(commit)
        if order.items:
            self.stock.take(order.receipt_id, order.items)
        return self._save(row, commit, granted)

    def write(self, commit: Commit) -> Confirmation:
        """Write the commit, stock and event included, or raise `ClaimLost`."""
        granted = self.clock.tick()
        row = self._held_row(commit)
        return self._save(row, self._with_the_shop(commit), granted)

    def tell_again(self, confirmation: Confirmation) -> None:
        """Have the result stored again: the announced document, which no later look changes."""
        self.told_again.append(self.outbox[confirmation.receipt_id][-1])

    # What others do to the rows ---------------------------------------------------------------------------------------

    def look_now(self, receipt_id: str) -> None:
        """Have the receipt looked at, as a webhook does; where a worker is on it, once that one is done."""
        row = self.rows[receipt_id]
        if row.confirmation.state is not State.VOIDED:
            row.asked = True
            self.due(row, self.clock.now())

    def fence_anew(self, row: TwinRow) -> None:
        """Give the row a fresh fence, which ends any claim on it."""
        row.fence = numbered(next(self._fences))

    def next_due(self) -> datetime | None:
        """Say when the next row is due."""
        while self._schedule and self.rows[self._schedule[0][1]].due_at != self._schedule[0][0]:
            heapq.heappop(self._schedule)
        return self._schedule[0][0] if self._schedule else None

    def sweep(self) -> list[Job]:
        """Give a message for each row that is due, and make it due again a little later."""
        jobs = []
        now = self.clock.now()
        while (due_at := self.next_due()) and due_at <= now:
            row = self.rows[self._schedule[0][1]]
            jobs.append(Job(row.confirmation.receipt_id, fence=row.fence))
            self.due(row, now + SENT_AGAIN)
        return jobs

    # Rows -------------------------------------------------------------------------------------------------------------

    def _insert(self, order: Order, due_at: datetime) -> TwinRow:
        """Give the order's row, new where there is none, and where the one there doesn't hold its receipt."""
        row = self.rows.get(order.receipt_id)
        if row and row.confirmation.order.same_as(order):
            return row
        if row and not _replaceable(row.confirmation):
            raise DifferentDocument(f"{order.receipt_id} is used by another document")
        now = self.clock.now()
        sequence = row.confirmation.sequence if row else 0
        new = TwinRow(Confirmation(order, State.RECEIVED, now, now, now, sequence=sequence))
        self.rows[order.receipt_id] = new
        self.due(new, due_at)
        return new

    def _leased(self, row: TwinRow) -> bool:
        return row.leased_until is not None and row.leased_until > self.clock.now()

    def _matches(self, row: TwinRow, before: Confirmation) -> bool:
        """`WHERE fence = :mine AND state = :from`."""
        hold = before.hold
        return hold is not None and row.fence == hold.fence and row.confirmation.state is before.state

    def _held_row(self, commit: Commit) -> TwinRow:
        row = self.rows[commit.before.receipt_id]
        if self._matches(row, commit.before):
            return row
        self.record(commit.before.receipt_id, commit.step)
        if row.confirmation.state is not State.CONFIRMED:
            self.look_now(commit.before.receipt_id)
        raise ClaimLost(f"{commit.before.receipt_id} was moved by another worker")

    def _order_refusal(self, order: Order) -> Refusal | None:
        owner = self.owners.get(order.order_id)
        if owner in (None, order.receipt_id):
            return None
        paid = self.rows[owner].confirmation.state is State.CONFIRMED
        return Refusal.ORDER_PAID if paid else Refusal.ORDER_UNDECIDED

    # A commit ---------------------------------------------------------------------------------------------------------

    def _save(self, row: TwinRow, commit: Commit, granted: float) -> Confirmation:
        now = self.clock.now()
        before, after = row.confirmation, commit.after
        receipt_id = before.receipt_id
        row.confirmation = replace(
            after,
            order=before.order,
            attempts=before.attempts,
            hold=None,
            idle_claims=0,
            updated_at=now,
            state_since=before.state_since if after.state is before.state else now,
            sequence=before.sequence + (commit.event is not None),
        )
        self.own(row.confirmation)
        self.stock.settle(receipt_id, commit.stock)
        self.record(receipt_id, commit.step)
        self._announce(row.confirmation, commit)
        if commit.lease_seconds is not None:
            return self._grant(row, granted, commit.lease_seconds)
        row.leased_until = None
        self.due(row, None if commit.wait is None else now + commit.wait)
        if row.asked:
            self.look_now(receipt_id)
        return row.confirmation

    def own(self, after: Confirmation) -> None:
        """Keep the unique index on the owned order."""
        order_id, receipt_id = after.order.order_id, after.receipt_id
        if after.owns_order and self.owners.setdefault(order_id, receipt_id) != receipt_id:
            raise CheckViolated(f"{order_id} is owned by {self.owners[order_id]} and by {receipt_id}")
        if not after.owns_order and self.owners.get(order_id) == receipt_id:
            del self.owners[order_id]

    def record(self, receipt_id: str, step: Step) -> None:
        """Append a line to the receipt's story."""
        self.steps.setdefault(receipt_id, []).append(step)

    def _with_the_shop(self, commit: Commit) -> Commit:
        """Have the shop's own part done, if it has one. Raises `HookRefused`, `HookFailed`."""
        method = part_in(self.hook, commit.before, commit.after)
        if self.hook is None or method is None:
            return commit
        commit = called(commit, method)
        if self.hook.has(method):
            self.hook.call(method, None, order_of(commit.after))
        return commit

    def _announce(self, saved: Confirmation, commit: Commit) -> None:
        if commit.event:
            event = commit.event
            announcement = Announcement(event.id, saved.sequence, event.type, result_document(saved))
            self.outbox.setdefault(saved.receipt_id, []).append(announcement)

    def _grant(self, row: TwinRow, granted: float, lease_seconds: float) -> Confirmation:
        if row.fence is None:
            raise CheckViolated(f"{row.confirmation.receipt_id} is leased to nobody")
        now = self.clock.now()
        row.leased_until = now + timedelta(seconds=lease_seconds)
        self.due(row, row.leased_until)
        return replace(row.confirmation, hold=Hold(row.fence, granted, now, lease_seconds))

    def due(self, row: TwinRow, due_at: datetime | None) -> None:
        """Have the row looked at then; None: never."""
        row.due_at = due_at
        if due_at is not None:
            heapq.heappush(self._schedule, (due_at, row.confirmation.receipt_id))


def _claimable(row: TwinRow) -> bool:
    """What has ended is left alone; what ended well may be looked at while somebody asks for it."""
    state = row.confirmation.state
    return state is not State.VOIDED and (state is not State.CONFIRMED or row.due_at is not None)


def _replaceable(confirmation: Confirmation) -> bool:
    return confirmation.state is State.REJECTED and confirmation.reason in REPLACEABLE
