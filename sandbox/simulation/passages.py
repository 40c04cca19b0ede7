"""The ports as workers and people meet them: at every call time passes, others run, and some die before or after it."""

from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

from confirmation.confirmation import Confirmation, Job
from confirmation.decisions import Refusal
from confirmation.errors import StoreBusy, StoreUnavailable
from confirmation.operating import Standing
from confirmation.operators import PHASE
from confirmation.order import Order
from confirmation.ports import Commit
from confirmation.states import State
from sandbox.simulation.fate import Chances
from sandbox.simulation.promises import Promises
from sandbox.simulation.runs import Killed, Run
from sandbox.twins import TwinOperating, TwinStore

#: Out of all passages.
ANYWHERE = {"killed_before": 0.004, "paused_before": 0.006, "killed_after": 0.004, "paused_after": 0.006}
STORE = Chances.of(**ANYWHERE, busy=0.004, unanswered=0.002, answer_lost=0.002)
#: Longer than any lease.
LONGEST_PAUSE_SECONDS = 60.0
STORE_SECONDS = 0.004


class Stage(Protocol):
    """What the passages need of the simulation."""

    promises: Promises
    #: Whether anybody wants to read the stories.
    telling: bool
    #: Who is at work at this moment.
    at_work: Run

    @property
    def full(self) -> bool:
        """Whether nothing would run meanwhile."""

    def tick(self) -> float:
        """Give the monotonic clock."""

    def wait(self, seconds: float) -> None:
        """Let time pass; others run meanwhile."""

    def note(self, receipt_id: str, *told: object) -> None:
        """Keep a line of the receipt's story."""

    def moved(self, confirmation: Confirmation, *, by_person: bool) -> None:
        """Know that a receipt has entered a state at this moment."""

    def looked(self, receipt_id: str) -> None:
        """Let happen what happens just after the gateway was asked, before its answer arrives."""

    def must_crash(self, receipt_id: str) -> bool:
        """Say whether this receipt ends its worker now."""


class Passage:
    """The way through one port."""

    def __init__(self, stage: Stage, seconds: float, chances: Chances) -> None:
        self._stage = stage
        self._seconds = seconds
        self._chances = chances

    def through(self, receipt_id: str, name: str, call: Callable[[], Any], *told: object) -> Any:  # noqa: ANN401 - whatever it gives
        """Make the call, with all that may happen around it."""
        fate = self._stage.at_work.fate
        incident = fate.draw(name, self._chances)
        if incident:
            self._befall(receipt_id, name, incident, "before")
        result = call()
        if self._stage.telling:
            self._stage.note(receipt_id, name, *told, result)
        self._stage.promises.check(receipt_id)
        self._stage.wait(fate.random.random() * self._seconds)
        if incident:
            self._befall(receipt_id, name, incident, "after")
        return result

    def pause(self, receipt_id: str, where: str) -> None:
        """Stand still for longer than a lease may be, while others run."""
        if self._stage.full:
            return
        self._stage.note(receipt_id, f"paused {where}")
        self._stage.wait(self._stage.at_work.fate.random.uniform(1, LONGEST_PAUSE_SECONDS))
        self._stage.note(receipt_id, "goes on")

    def _befall(self, receipt_id: str, name: str, incident: str, when: str) -> None:
        """Have the incident happen if this is its moment."""
        if incident == f"paused-{when}":
            self.pause(receipt_id, f"{when} {name}")
        elif incident == f"killed-{when}":
            self._stage.note(receipt_id, f"killed {when} {name}")
            raise Killed
        elif (incident, when) in _STORE_ERRORS:
            self._stage.note(receipt_id, f"{name}: {incident}")
            raise _STORE_ERRORS[incident, when](name)


_STORE_ERRORS = {
    ("busy", "before"): StoreBusy,
    #: The store did nothing.
    ("unanswered", "before"): StoreUnavailable,
    #: The store did what was asked.
    ("answer-lost", "after"): StoreUnavailable,
}


class PassedStore(Passage):
    """The store."""

    def __init__(self, stage: Stage, store: TwinStore) -> None:
        super().__init__(stage, STORE_SECONDS, STORE)
        self._store = store

    def claim(self, job: Job, lease_seconds: float) -> Confirmation:
        """As the port."""
        claimed: Confirmation = self.through(job.receipt_id, "claim", lambda: self._claim(job, lease_seconds))
        return claimed

    def keep(self, order: Order, due_seconds: float) -> Confirmation:
        """As the port."""
        kept: Confirmation = self.through(order.receipt_id, "keep", lambda: self._store.keep(order, due_seconds))
        return kept

    def renew(self, confirmation: Confirmation, lease_seconds: float) -> Confirmation:
        """As the port."""
        renewed: Confirmation = self.through(
            confirmation.receipt_id, "renew", lambda: self._renew(confirmation, lease_seconds)
        )
        return renewed

    def reserve(self, commit: Commit) -> Confirmation | Refusal:
        """As the port."""
        reserved: Confirmation | Refusal = self.through(
            commit.before.receipt_id, "reserve", lambda: self._reserve(commit), commit.step
        )
        return reserved

    def write(self, commit: Commit) -> Confirmation:
        """As the port."""
        written: Confirmation = self.through(
            commit.before.receipt_id, "write", lambda: self._write(commit), commit.step
        )
        return written

    def tell_again(self, confirmation: Confirmation) -> None:
        """As the port."""
        self.through(confirmation.receipt_id, "tell-again", lambda: self._store.tell_again(confirmation))

    # What the promises are to know of it, at the very moment ----------------------------------------------------------

    def _claim(self, job: Job, lease_seconds: float) -> Confirmation:
        claimed = self._store.claim(job, lease_seconds)
        if claimed.can_move:
            self._stage.promises.turns.claimed(claimed, lease_seconds)
        return claimed

    def _renew(self, confirmation: Confirmation, lease_seconds: float) -> Confirmation:
        renewed = self._store.renew(confirmation, lease_seconds)
        self._stage.promises.turns.leased(renewed.receipt_id, lease_seconds)
        return renewed

    def _reserve(self, commit: Commit) -> Confirmation | Refusal:
        reserved = self._store.reserve(commit)
        if isinstance(reserved, Confirmation):
            self._stage.promises.turns.leased(reserved.receipt_id, commit.lease_seconds)
        return reserved

    def _write(self, commit: Commit) -> Confirmation:
        written = self._store.write(commit)
        self._stage.promises.turns.leased(written.receipt_id, commit.lease_seconds)
        if written.state is not commit.before.state:
            self._stage.moved(written, by_person=commit.step.phase == PHASE)
        return written


class PassedOperating(Passage):
    """The rows, as people get at them."""

    def __init__(self, stage: Stage, operating: TwinOperating) -> None:
        super().__init__(stage, STORE_SECONDS, STORE)
        self._operating = operating

    def standing(self, receipt_id: str) -> Standing:
        """As the port."""
        standing: Standing = self.through(receipt_id, "standing", lambda: self._operating.standing(receipt_id))
        return standing

    def retry(self, receipt_id: str, by: str) -> bool:
        """As the port."""
        done: bool = self.through(receipt_id, "retry", lambda: self._operating.retry(receipt_id, by))
        return done

    def void(self, receipt_id: str, seen: State, by: str, *, restock: bool) -> bool:
        """As the port."""
        name = "void, restock" if restock else "void"
        done: bool = self.through(receipt_id, name, lambda: self._void(receipt_id, seen, by, restock=restock))
        return done

    def make_room(self, receipt_id: str, fence: UUID) -> frozenset[str]:
        """As the port."""
        sold: frozenset[str] = self.through(
            receipt_id, "make-room", lambda: self._operating.make_room(receipt_id, fence)
        )
        return sold

    def _void(self, receipt_id: str, seen: State, by: str, *, restock: bool) -> bool:
        done = self._operating.void(receipt_id, seen, by, restock=restock)
        if done:
            self._stage.promises.voided(receipt_id, seen, restock=restock)
        return done
