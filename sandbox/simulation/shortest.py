"""The shortest story that breaks the same promise: fewer receipts, then fewer things that go wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sandbox.simulation.broken import PromiseBroken
from sandbox.simulation.plans import Plan
from sandbox.simulation.run import Simulation
from sandbox.simulation.stories import SCARCE

#: So many receipts are run at most in looking for it: some ten seconds. Not a time, so that the same seed always ends
#: in the same story.
MOST_RECEIPTS = 20_000

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A plan that breaks a promise, how, and the stories of its receipts."""

    plan: Plan
    broken: PromiseBroken
    stories: str


def tell(plan: Plan) -> Found | None:
    """Run the plan and tell all that happens; None where every promise is kept."""
    simulation = Simulation(plan, telling=True)
    try:
        simulation.run()
    except PromiseBroken as broken:
        others = [f"r{number}" for number in plan.receipts if f"r{number}" != broken.receipt_id]
        return Found(plan, broken, "\n".join(map(simulation.story, [broken.receipt_id, *others])))
    return None


def shortest(plan: Plan, broken: PromiseBroken) -> Plan:
    """Give the smallest part of the plan that breaks the same promise, as far as it was found."""
    search = _Search(broken.kind)
    for receipts in _nearest(plan, broken.receipt_id):
        if search.breaks(replace(plan, receipts=receipts)):
            plan = replace(plan, receipts=receipts)
            break
    plan = search.fewer_receipts(plan)
    plan = search.fewer_incidents(plan)
    return search.fewer_receipts(plan)


def _nearest(plan: Plan, receipt_id: str) -> list[tuple[int, ...]]:
    """The receipt alone; with those of its order; with those that want the same scarce things, too."""
    orders = Simulation(plan).orders
    mine = orders[receipt_id]
    of_order = [number for number in plan.receipts if orders[f"r{number}"].order_id == mine.order_id]
    scarce = mine.items.keys() & SCARCE.keys()
    near = [number for number in plan.receipts if number in of_order or orders[f"r{number}"].items.keys() & scarce]
    return [(int(receipt_id.removeprefix("r")),), tuple(of_order), tuple(near)]


class _Search:
    """Runs parts of a plan for as long as it may."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._left = MOST_RECEIPTS
        self._happened: list[str] = []

    def breaks(self, plan: Plan) -> bool:
        """Say whether this part breaks the promise, too; no where there is no time left to try."""
        self._left -= len(plan.receipts)
        if self._left < 0:
            return False
        simulation = Simulation(plan)
        try:
            simulation.run()
        except PromiseBroken as broken:
            if broken.kind == self._kind:
                self._happened = simulation.happened
                return True
        return False

    def fewer_receipts(self, plan: Plan) -> Plan:
        """Leave receipts out while it still breaks."""
        receipts = _fewer(plan.receipts, lambda some: bool(some) and self.breaks(replace(plan, receipts=tuple(some))))
        return replace(plan, receipts=tuple(receipts))

    def fewer_incidents(self, plan: Plan) -> Plan:
        """Leave out what went wrong while it still breaks."""
        if not self.breaks(plan):
            return plan
        incidents = _fewer(
            tuple(dict.fromkeys(self._happened)),
            lambda some: self.breaks(replace(plan, incidents=frozenset(some))),
        )
        return replace(plan, incidents=frozenset(incidents))


def _fewer(things: Sequence[T], breaks: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Leave halves out, then quarters, and in the end single ones, while it still breaks."""
    size = len(things)
    while size:
        start = 0
        while start < len(things):
            without = (*things[:start], *things[start + size :])
            if breaks(without):
                things = without
            else:
                start += size
        size //= 2
    return things
