"""One seeded run: receipts arrive, workers run and die, the sweep goes on until all is settled."""

from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random

from confirmation.confirmation import Confirmation, Job
from confirmation.errors import ConfirmationError, DifferentDocument, StoreBusy, StoreUnavailable
from confirmation.order import Order
from confirmation.pipeline import confirm
from confirmation.states import State
from sandbox.simulation.passages import Killed, PassedGateway, PassedLock, PassedStore
from sandbox.simulation.promises import PromiseBroken, Promises
from sandbox.simulation.scheduler import Scheduler
from sandbox.simulation.stories import PLENTY, SCARCE, Change, Story, draw, pay_unless_charged
from sandbox.twins import Twins

#: Between two receipts, on average. Close together they meet; far apart, a paused worker's receipt is taken over often.
ARRIVAL_SECONDS = (2.0, 20.0)
#: Each world has this many receipts: memory stays small, and a failure is found in a short story.
RECEIPTS_IN_A_WORLD = 500
#: Long after a day of trying to cancel, and after four days of hourly late looks without a word.
LONGEST_SECONDS = 7 * 86_400.0
LOST_MESSAGES = 0.03


class Simulation:
    """One world, from its first receipt until all is settled."""

    def __init__(self, seed: str, receipts: int, twins: Twins | None = None) -> None:
        self.random = Random(seed)  # noqa: S311 - a story, no secret
        self.twins = twins or Twins()
        self._scheduler = Scheduler(self.twins.clock, self.twins.store, self._sweep)
        self._promises = Promises(self.twins, SCARCE | PLENTY)
        self._stories = {f"r{number}": draw(self.random, number) for number in range(receipts)}
        self._lines: dict[str, list[tuple[float, int, str, tuple[object, ...]]]] = {}
        #: The runs that wait inside each other, the innermost last.
        self._runs: list[int] = [0]
        self._started = 0
        self.world = replace(
            self.twins.world(),
            store=PassedStore(self, self.twins.store),
            gateway=PassedGateway(self, self.twins.gateway, self.twins.clock.tick),
            lock=PassedLock(self, self.twins.lock),
            jitter=self.random.random,
        )

    def run(self) -> Counter[str]:
        """Run until all is settled, and count the outcomes. Raises `PromiseBroken`."""
        all_arrived = len(self._stories) * self.random.choice(ARRIVAL_SECONDS)
        for story in self._stories.values():
            self._scheduler.after(self.random.uniform(0, all_arrived), partial(self._begin, story))
        while self._scheduler.run_next():
            if self.twins.clock.tick() > LONGEST_SECONDS:
                raise self._unsettled()
        return self._end()

    def story(self, receipt_id: str) -> str:
        """Tell what happened to one receipt, line by line."""
        story = self._stories[receipt_id]
        head = f"{receipt_id}, {story.beginning}: {story.order}\n  {story.receipt}\n"
        lines = (
            f"  {tick:12.6f} worker {run}: {what} {' '.join(_brief(thing) for thing in told)}".rstrip()
            for tick, run, what, told in self._lines.get(receipt_id, [])
        )
        return head + "\n".join(lines)

    # What the passages need -------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether nothing would run meanwhile."""
        return self._scheduler.full

    def wait(self, seconds: float) -> None:
        """Let time pass; others run meanwhile."""
        self._scheduler.wait(seconds)

    def note(self, receipt_id: str, what: str, *told: object) -> None:
        """Keep a line of the receipt's story."""
        self._lines.setdefault(receipt_id, []).append((self.twins.clock.tick(), self._runs[-1], what, told))

    def check(self, receipt_id: str) -> None:
        """Hold the receipt against the promises."""
        try:
            self._promises.check(receipt_id)
        except PromiseBroken as broken:
            raise self._told(receipt_id, broken) from None

    def moved(self, confirmation: Confirmation) -> None:
        """Hold a receipt that entered a state this moment against the gateway's truth."""
        try:
            self._promises.moved(confirmation)
        except PromiseBroken as broken:
            raise self._told(confirmation.receipt_id, broken) from None

    def excuse(self, receipt_id: str) -> None:
        """Know that this receipt's money may move after the look that led to a no."""
        self._promises.excused.add(receipt_id)

    def looked(self, receipt_id: str) -> None:
        """Let the receipt be approved elsewhere, if this is the look at which that happens."""
        story = self._stories[receipt_id]
        story.approved_at_look -= 1
        if story.approved_at_look == 0 and receipt_id in self.twins.gateway.receipts:
            self._change(receipt_id, (0, pay_unless_charged))

    def must_crash(self, receipt_id: str) -> bool:
        """Say whether this receipt ends its worker now."""
        story = self._stories[receipt_id]
        story.crashes -= story.crashes > 0
        return story.crashes > 0

    # Events -----------------------------------------------------------------------------------------------------------

    def _begin(self, story: Story) -> None:
        receipt_id = story.order.receipt_id
        if story.may_move_late:
            self.excuse(receipt_id)
        for call, faults in story.faults.items():
            self.twins.gateway.tell(receipt_id, call, *faults)
        if story.appears is not None:
            self._scheduler.after(story.appears, partial(self._appear, story))
        for seconds, order in story.deliveries:
            self._scheduler.after(seconds, partial(self._deliver, Job(receipt_id, order)))

    def _appear(self, story: Story) -> None:
        receipt_id = story.order.receipt_id
        self.twins.gateway.receipts[receipt_id] = story.receipt
        for change in story.changes:
            self._scheduler.after(change[0], partial(self._change, receipt_id, change))
        if story.appears:
            self._webhook(receipt_id)

    def _change(self, receipt_id: str, change: Change) -> None:
        change[1](self.twins.gateway.receipts[receipt_id])
        self.note(receipt_id, f"the gateway by itself: {change[1].__name__}")
        self._webhook(receipt_id)

    def _webhook(self, receipt_id: str) -> None:
        if receipt_id in self.twins.store.rows:
            self.note(receipt_id, "webhook")
            self.twins.store.look_now(receipt_id)

    def _sweep(self) -> None:
        for job in self.twins.store.sweep():
            if self._promises.settled(job.receipt_id):
                # A review that only people can end: looking on would go on for ever.
                self.twins.store.rows[job.receipt_id].due_at = None
            elif self.random.random() > LOST_MESSAGES:
                self._scheduler.after(self.random.random() * 0.2, partial(self._deliver, job))

    def _deliver(self, job: Job) -> None:
        """Have a worker run the job, whatever becomes of the worker."""
        self._started += 1
        self._runs.append(self._started)
        try:
            confirm(job, self.world)
        except (StoreBusy, StoreUnavailable):
            self._scheduler.after(1, partial(self._deliver, job))
        except DifferentDocument:
            self.note(job.receipt_id, "dead letter: another document")
        except ConfirmationError as error:
            self.note(job.receipt_id, "stops:", error)
        except Killed:
            if job.order:
                self._scheduler.after(20, partial(self._deliver, job))
        except PromiseBroken:
            raise
        except Exception as error:
            raise self._told(job.receipt_id, error) from error
        finally:
            self._runs.pop()

    # The end ----------------------------------------------------------------------------------------------------------

    def _end(self) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for receipt_id, row in self.twins.store.rows.items():
            try:
                self._promises.check_end(receipt_id)
            except PromiseBroken as broken:
                raise self._told(receipt_id, broken) from None
            outcomes[_outcome(row.confirmation)] += 1
        self._promises.check_polled()
        return outcomes

    def _unsettled(self) -> PromiseBroken:
        receipt_id = next(row for row in self.twins.store.rows if not self._promises.settled(row))
        return self._told(receipt_id, PromiseBroken("still not settled after days"))

    def _told(self, receipt_id: str, broken: Exception) -> PromiseBroken:
        return PromiseBroken(f"{receipt_id}: {type(broken).__name__}: {broken}\n{self.story(receipt_id)}")


def simulate(seed: int, receipts: int) -> Counter[str]:
    """Run so many receipts, world by world, and count the outcomes. Raises `PromiseBroken`."""
    outcomes: Counter[str] = Counter()
    for first in range(0, receipts, RECEIPTS_IN_A_WORLD):
        outcomes += Simulation(f"{seed}/{first}", min(RECEIPTS_IN_A_WORLD, receipts - first)).run()
    return outcomes


def _outcome(confirmation: Confirmation) -> str:
    reason = f", {confirmation.reason}" if confirmation.reason else ""
    return f"{confirmation.state}{reason}"


def _brief(thing: object) -> str:
    """A thing in a line of a story."""
    if isinstance(thing, Confirmation):
        hold = "held" if thing.can_move else "not held"
        return f"{_outcome(thing)} ({hold}, looks {thing.looks}, submits {thing.submits}, parks {thing.parks})"
    if isinstance(thing, Order | State):
        return str(thing)
    return repr(thing)
