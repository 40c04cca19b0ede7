"""One seeded run: receipts arrive, workers run and die, people step in, the sweep goes on until all is settled."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from confirmation.confirmation import Confirmation, Job
from confirmation.errors import ConfirmationError, DifferentDocument, StoreBusy, StoreUnavailable
from confirmation.operating import NotDone
from confirmation.order import Order
from confirmation.pipeline import confirm
from confirmation.ports import Terms
from confirmation.states import State
from sandbox.simulation import people
from sandbox.simulation.broken import PromiseBroken
from sandbox.simulation.fate import Fate
from sandbox.simulation.outside import PassedGateway, PassedLock, PassedShop
from sandbox.simulation.passages import PassedOperating, PassedStore
from sandbox.simulation.plans import RECEIPTS_IN_A_WORLD, Plan
from sandbox.simulation.processes import Processes
from sandbox.simulation.promises import Promises
from sandbox.simulation.runs import Killed, Run
from sandbox.simulation.scheduler import Scheduler
from sandbox.simulation.stories import PLENTY, SCARCE, Change, Deed, Story, draw, pay_unless_charged
from sandbox.simulation.telling import Lines, outcome
from sandbox.twins import Twins, TwinShop

#: Between two receipts, on average. Close together they meet; far apart, a paused worker's receipt is taken over often.
ARRIVAL_SECONDS = (2.0, 20.0)
#: Mostly short: until then a receipt is looked at every few seconds, and all these looks are alike.
DEADLINES = (*(timedelta(minutes=1) for _ in range(19)), timedelta(minutes=10))
#: Long after a day of trying to cancel, and after four days of hourly late looks without a word.
LONGEST_SECONDS = 7 * 86_400.0
LOST_MESSAGES = 0.03
#: How far the database's clock jumps at most, forward or back, in a world in which it does.
MOST_JUMPS = 20
JUMPS_SECONDS = (2.0, 30.0, 300.0)


class Simulation:
    """One world, from its first receipt until all is settled."""

    def __init__(self, plan: Plan, *, telling: bool = False) -> None:
        self.plan = plan
        self.twins = Twins()
        #: All that went wrong, by name.
        self.happened: list[str] = []
        self.telling = telling
        self._lines = Lines()
        self._scheduler = Scheduler(self.twins.clock, self.twins.store, self._sweep)
        #: Drawn for the whole world, whichever receipts take part.
        self._random = Random(plan.name)  # noqa: S311 - a story, no secret
        self._arrival_seconds = self._random.choice(ARRIVAL_SECONDS)
        self._deadline = self._random.choice(DEADLINES)
        self._fates = {f"r{number}": self._fate(f"r{number}") for number in plan.receipts}
        self._stories = {f"r{number}": self._draw(number) for number in plan.receipts}
        shop = TwinShop() if self._random.random() < 0.5 else None
        self.twins.store.hook = PassedShop(self, shop) if shop else None
        self.promises = Promises(self.twins, SCARCE | PLENTY, shop)
        self.at_work = Run(0, self._fate("world"), "world")
        self._started = 0
        self._operating = PassedOperating(self, self.twins.operating)
        world = replace(
            self.twins.world(Terms(deadline=self._deadline)),
            store=PassedStore(self, self.twins.store),
            gateway=PassedGateway(self, self.twins.gateway),
            lock=PassedLock(self, self.twins.lock),
            jitter=self._jitter,
        )
        self._processes = Processes(world)

    def run(self) -> Counter[str]:
        """Run until all is settled, and count the outcomes. Raises `PromiseBroken`."""
        for story in self._stories.values():
            self._scheduler.after(story.begins, partial(self._begin, story))
        self._plan_jumps()
        while self._scheduler.run_next():
            if self.twins.clock.tick() > LONGEST_SECONDS:
                raise self._unsettled()
        return self._end()

    def story(self, receipt_id: str) -> str:
        """Tell what happened to one receipt, line by line."""
        return self._lines.tell(self._stories[receipt_id])

    @property
    def orders(self) -> dict[str, Order]:
        """What each receipt is for."""
        return {receipt_id: story.order for receipt_id, story in self._stories.items()}

    # What the passages need -------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether nothing would run meanwhile."""
        return self._scheduler.full

    def tick(self) -> float:
        """Give the monotonic clock."""
        return self.twins.clock.tick()

    def wait(self, seconds: float) -> None:
        """Let time pass; others run meanwhile."""
        self._scheduler.wait(seconds)

    def note(self, receipt_id: str, *told: object) -> None:
        """Keep a line of the receipt's story."""
        if self.telling:
            self._lines.add(receipt_id, self.tick(), self.at_work, *told)

    def moved(self, confirmation: Confirmation, *, by_person: bool) -> None:
        """Hold a receipt that entered a state this moment against the gateway's truth; have people do what they do."""
        self.promises.moved(confirmation, self.at_work, by_person=by_person)
        receipt_id, story = confirmation.receipt_id, self._stories[confirmation.receipt_id]
        self._plan_deeds(story, confirmation.state)
        if confirmation.state is State.CONFIRMED:
            for seconds, whole in story.cancelled_elsewhere:
                self._scheduler.after(seconds, partial(self._cancel_elsewhere, receipt_id, whole=whole))
            story.cancelled_elsewhere = []

    def looked(self, receipt_id: str) -> None:
        """Let the receipt be approved elsewhere, if this is the look at which that happens."""
        story = self._stories[receipt_id]
        if story.approved_at_look:
            story.approved_at_look -= 1
            if not story.approved_at_look and receipt_id in self.twins.gateway.receipts:
                self._change(receipt_id, (0, pay_unless_charged))

    def must_crash(self, receipt_id: str) -> bool:
        """Say whether this receipt ends its worker now."""
        story = self._stories[receipt_id]
        story.crashes -= story.crashes > 0
        return story.crashes > 0

    def _jitter(self) -> float:
        return self.at_work.fate.random.random()

    # What is drawn beforehand -----------------------------------------------------------------------------------------

    def _fate(self, name: str) -> Fate:
        return Fate(name, self.plan.name, self.plan.incidents, self.happened)

    def _draw(self, number: int) -> Story:
        receipt_id = f"r{number}"
        random = self._fates[receipt_id].random
        story = draw(random, number, 1.5 * self._deadline.total_seconds())
        story.begins = (number + random.uniform(0, 3)) * self._arrival_seconds
        story.leave_out(self._fates[receipt_id])
        return story

    def _plan_jumps(self) -> None:
        world_seconds = RECEIPTS_IN_A_WORLD * self._arrival_seconds
        for number in range(self._random.randint(0, MOST_JUMPS)):
            at, most = self._random.uniform(0, world_seconds), self._random.choice(JUMPS_SECONDS)
            seconds = self._random.uniform(-most, most)
            if self.at_work.fate.keeps(f"jump/{number}"):
                self._scheduler.after(at, partial(self._jump, seconds))

    def _plan_deeds(self, story: Story, state: State) -> None:
        """Have people do what they do once the receipt is in this state."""
        for deed in story.deeds:
            if deed.after is state:
                self._scheduler.after(deed.seconds, partial(self._do, story.order.receipt_id, deed))
        story.deeds = [deed for deed in story.deeds if deed.after is not state]

    # Events -----------------------------------------------------------------------------------------------------------

    def _begin(self, story: Story) -> None:
        receipt_id = story.order.receipt_id
        if story.may_move_late:
            self.promises.excused.add(receipt_id)
        for call, faults in story.faults.items():
            self.twins.gateway.tell(receipt_id, call, *faults)
        if story.appears is not None:
            self._scheduler.after(story.appears, partial(self._appear, story))
        for seconds, order in story.deliveries:
            self._scheduler.after(seconds, partial(self._deliver, Job(receipt_id, order)))
        self._plan_deeds(story, State.RECEIVED)

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

    def _cancel_elsewhere(self, receipt_id: str, *, whole: bool) -> None:
        """Have somebody cancel it in the payment company's console, if it still is confirmed."""
        receipt = self.twins.gateway.receipts.get(receipt_id)  # none where a person's word alone confirmed it
        if receipt is None or self.twins.store.rows[receipt_id].confirmation.state is not State.CONFIRMED:
            return
        if receipt.cancel_elsewhere(whole=whole):
            self.promises.cancelled_elsewhere[receipt_id] += 1
            self.note(receipt_id, f"cancelled elsewhere, {'all' if whole else 'half'} of it")
            self._webhook(receipt_id)

    def _webhook(self, receipt_id: str) -> None:
        if receipt_id in self.twins.store.rows:
            self.note(receipt_id, "webhook")
            self.twins.store.look_now(receipt_id)

    def _jump(self, seconds: float) -> None:
        """Set the database's clock; the workers' monotonic ones go on."""
        self._processes.claim_something(self.twins.clock)
        self.twins.clock.jump(seconds)
        self._scheduler.clock_jumped()
        for receipt_id in self.twins.store.rows if self.telling else ():
            self.note(receipt_id, f"the database's clock jumps by {seconds:+.3f} s")

    def _sweep(self) -> None:
        for job in self.twins.store.sweep():
            if self.promises.settled(job.receipt_id):
                # A review that only people can end: looking on would go on for ever.
                self.twins.store.rows[job.receipt_id].due_at = None
            else:
                self._send(job)

    def _send(self, job: Job) -> None:
        random = self._fates[job.receipt_id].random
        if random.random() > LOST_MESSAGES:
            self._scheduler.after(random.random() * 0.2, partial(self._deliver, job))

    def _deliver(self, job: Job) -> None:
        """Have a worker run the job, whatever becomes of the worker."""
        self._started += 1
        run = Run(self._started, self._fates[job.receipt_id])
        try:
            self._have_at_work(run, job.receipt_id, partial(confirm, job, self._processes.next()))
        except (StoreBusy, StoreUnavailable):
            self._scheduler.after(1, partial(self._deliver, job))
        except DifferentDocument:
            self.note(job.receipt_id, "dead letter: another document")
        except ConfirmationError as error:
            self.note(job.receipt_id, f"stops: {error}")
        except Killed:
            if job.order:
                self._scheduler.after(20, partial(self._deliver, job))

    def _do(self, receipt_id: str, deed: Deed) -> None:
        """Have a person do it, who tries again where the store gave no answer."""
        self._started += 1
        run = Run(self._started, self._fates[receipt_id], "person", people.word(deed))
        self.note(receipt_id, f"person {run.number} comes to", deed)
        try:
            self._have_at_work(
                run, receipt_id, partial(people.do, deed, receipt_id, self._operating, self._processes.next())
            )
        except (StoreBusy, StoreUnavailable):
            self._scheduler.after(5, partial(self._do, receipt_id, deed))
        except (NotDone, ConfirmationError) as error:
            self.note(receipt_id, f"not done: {error}")
        except Killed:
            pass

    def _have_at_work(self, run: Run, receipt_id: str, work: Callable[[], object]) -> None:
        """Do it; what the rules don't know to raise is a broken promise."""
        before, self.at_work = self.at_work, run
        try:
            work()
        except (ConfirmationError, NotDone):
            raise
        except PromiseBroken as broken:
            raise broken.of(receipt_id) from None
        except Exception as error:
            raise PromiseBroken(type(error).__name__, error, receipt_id) from error
        finally:
            self.at_work = before

    # The end ----------------------------------------------------------------------------------------------------------

    def _end(self) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for receipt_id, row in self.twins.store.rows.items():
            try:
                self.promises.check_end(receipt_id)
            except PromiseBroken as broken:
                raise broken.of(receipt_id) from None
            outcomes[outcome(row.confirmation)] += 1
        self.promises.check_shelves()
        self.promises.check_polled()
        return outcomes

    def _unsettled(self) -> PromiseBroken:
        receipt_id = next(row for row in self.twins.store.rows if not self.promises.settled(row))
        return PromiseBroken("still not settled after days", "", receipt_id)
