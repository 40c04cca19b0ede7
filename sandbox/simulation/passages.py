"""The ports as workers meet them: at every call time passes, others run, and some die before or after it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Protocol

from confirmation.answers import Answer
from confirmation.confirmation import Confirmation, Job
from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, StoreBusy, StoreUnavailable
from confirmation.order import Order
from confirmation.ports import Commit
from sandbox.twins import TwinGateway, TwinLock, TwinStore

#: Out of all passages, before or after a call.
KILLED, PAUSED = 0.004, 0.006
#: Out of all calls of the store that write.
BUSY, UNAVAILABLE, UNAVAILABLE_AFTER = 0.004, 0.006, 0.008
#: Longer than any lease.
LONGEST_PAUSE_SECONDS = 60.0
STORE_SECONDS, GATEWAY_SECONDS = 0.004, 0.6


class Killed(BaseException):
    """The worker is no more. No `except Exception` keeps it alive."""


class Stage(Protocol):
    """What the passages need of the simulation."""

    random: Random

    @property
    def full(self) -> bool:
        """Whether nothing would run meanwhile."""

    def wait(self, seconds: float) -> None:
        """Let time pass; others run meanwhile."""

    def note(self, receipt_id: str, what: str, *told: object) -> None:
        """Keep a line of the receipt's story."""

    def check(self, receipt_id: str) -> None:
        """Hold the receipt against the promises."""

    def moved(self, confirmation: Confirmation) -> None:
        """Hold a receipt that entered a state this moment against the gateway's truth."""

    def excuse(self, receipt_id: str) -> None:
        """Know that this receipt's money may move after the look that led to a no."""

    def looked(self, receipt_id: str) -> None:
        """Let happen what happens just after the gateway was asked, before its answer arrives."""

    def must_crash(self, receipt_id: str) -> bool:
        """Say whether this receipt ends its worker now."""


class Passage:
    """The way through one port."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self._stage = stage
        self._seconds = seconds

    def through(self, receipt_id: str, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it gives
        """Make the call, with all that may happen around it."""
        self._pass(receipt_id, f"before {name}")
        result = call()
        self._stage.note(receipt_id, name, result)
        self._stage.check(receipt_id)
        self._stage.wait(self._stage.random.random() * self._seconds)
        self._pass(receipt_id, f"after {name}")
        return result

    def pause(self, receipt_id: str, where: str) -> None:
        """Stand still for longer than a lease may be, while others run."""
        if self._stage.full:
            return
        self._stage.note(receipt_id, f"paused {where}")
        self._stage.wait(self._stage.random.uniform(1, LONGEST_PAUSE_SECONDS))
        self._stage.note(receipt_id, "goes on")

    def _pass(self, receipt_id: str, where: str) -> None:
        chance = self._stage.random.random()
        if chance < KILLED:
            self._stage.note(receipt_id, f"killed {where}")
            raise Killed
        if chance < KILLED + PAUSED:
            self.pause(receipt_id, where)


class PassedStore(Passage):
    """The store, with its own ways to fail."""

    def __init__(self, stage: Stage, store: TwinStore) -> None:
        super().__init__(stage, STORE_SECONDS)
        self._store = store

    def claim(self, job: Job, lease_seconds: float) -> Confirmation:
        """As the port."""
        claimed: Confirmation = self._ask(job.receipt_id, "claim", lambda: self._store.claim(job, lease_seconds))
        return claimed

    def keep(self, order: Order, due_seconds: float) -> Confirmation:
        """As the port."""
        kept: Confirmation = self._ask(order.receipt_id, "keep", lambda: self._store.keep(order, due_seconds))
        return kept

    def renew(self, confirmation: Confirmation, lease_seconds: float) -> Confirmation:
        """As the port."""
        receipt_id = confirmation.receipt_id
        renewed: Confirmation = self._ask(receipt_id, "renew", lambda: self._store.renew(confirmation, lease_seconds))
        return renewed

    def reserve(self, commit: Commit) -> Confirmation | Refusal:
        """As the port."""
        reserved: Confirmation | Refusal = self._commit("reserve", commit, self._store.reserve)
        return reserved

    def write(self, commit: Commit) -> Confirmation:
        """As the port."""
        written: Confirmation = self._commit("write", commit, self._write)
        return written

    def tell_again(self, confirmation: Confirmation) -> None:
        """As the port."""
        self._ask(confirmation.receipt_id, "tell again", lambda: self._store.tell_again(confirmation))

    def _write(self, commit: Commit) -> Confirmation:
        written = self._store.write(commit)
        if written.state is not commit.before.state:
            self._stage.moved(written)
        return written

    def _commit(self, name: str, commit: Commit, call: Callable[[Commit], Any]) -> Any:  # noqa: ANN401 - see through
        step = commit.step
        told = f"{name} ({step.phase}: {step.seen} -> {step.decided})"
        return self._ask(commit.before.receipt_id, told, lambda: call(commit))

    def _ask(self, receipt_id: str, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - see through
        chance = self._stage.random.random()
        if chance < BUSY:
            self._stage.note(receipt_id, f"{name}: the store is busy")
            raise StoreBusy(name)
        if BUSY < chance < UNAVAILABLE:
            self._stage.note(receipt_id, f"{name}: the store gives no answer and did nothing")
            raise StoreUnavailable(name)
        result = self.through(receipt_id, name, call)
        if UNAVAILABLE < chance < UNAVAILABLE_AFTER:
            self._stage.note(receipt_id, f"{name}: its answer is lost")
            raise StoreUnavailable(name)
        return result


class PassedGateway(Passage):
    """The gateway. Only where it says that one receipt is one payment may a call still begin after a pause."""

    def __init__(self, stage: Stage, gateway: TwinGateway, tick: Callable[[], float]) -> None:
        super().__init__(stage, GATEWAY_SECONDS)
        self._gateway = gateway
        self._tick = tick

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """As the port."""
        if self._stage.must_crash(receipt_id):
            self._stage.note(receipt_id, "crashed")
            raise Killed
        return self._call(receipt_id, "look up", lambda: self._look_up(receipt_id, start_by))

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """As the port."""
        receipt = self._gateway.receipts.get(receipt_id)
        if receipt and receipt.api == "v2" and self._stage.random.random() < PAUSED:
            start_by = self._pause_before_the_first_byte(receipt_id, start_by)
        return self._call(receipt_id, "submit", lambda: self._gateway.submit(receipt_id, start_by=start_by))

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """As the port."""
        name = f"cancel {cancel_id}"
        return self._call(receipt_id, name, lambda: self._gateway.cancel(receipt_id, cancel_id, start_by=start_by))

    def _look_up(self, receipt_id: str, start_by: float) -> Answer:
        answer = self._gateway.look_up(receipt_id, start_by=start_by)
        self._stage.looked(receipt_id)
        return answer

    def _call(self, receipt_id: str, name: str, call: Callable[[], Answer]) -> Answer:
        answer: Answer = self.through(receipt_id, name, call)
        return answer

    def _pause_before_the_first_byte(self, receipt_id: str, start_by: float) -> float:
        """The check of the lease is past, and the worker stands still before it sends: the gap that remains."""
        if self._tick() > start_by:
            raise ClaimLost("too little of the lease is left")
        self._stage.excuse(receipt_id)
        self.pause(receipt_id, "between the check and the first byte")
        return float("inf")


class PassedLock:
    """The lock, whose server is away now and then."""

    def __init__(self, stage: Stage, lock: TwinLock) -> None:
        self._stage = stage
        self._lock = lock

    def __call__(self, receipt_id: str) -> AbstractContextManager[bool]:
        """As the port."""
        self._lock.away = self._stage.random.random() < 0.1
        return self._lock(receipt_id)
