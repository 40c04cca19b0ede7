"""What each receipt meets: drawn from a seeded random, so that a seed is a story."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from confirmation.answers import Refused
from confirmation.operators import Act
from confirmation.order import Money, Order
from confirmation.states import State
from sandbox.simulation.fate import Fate
from sandbox.simulation.faults import IN_FLIGHT, cancel_fault, look_up_faults, some, soon_or_late, submit_fault
from sandbox.twins import Fault, TwinReceipt

#: Few enough of each that receipts compete for them.
SCARCE = {f"scarce-{number}": 3 for number in range(12)}
PLENTY = {"plenty": 1_000_000, "more": 1_000_000}
#: How often a receipt begins like this, out of their sum.
BEGINNINGS = {
    "ready": 60,
    "paid": 5,
    "failed": 3,
    "cancelled": 2,
    "partly cancelled": 1,
    "other amount": 4,
    "paid, other amount": 2,
    "in flight": 3,
    "another order's": 3,
    "not there": 2,
    "not there yet": 3,
    "not authorised yet": 3,
    "never authorised": 1,
    "waits for a deposit": 2,
    "no payment": 1,
    "undocumented": 1,
    "cancel failed": 1,
    "approved elsewhere": 4,
    "approved during a look": 4,
}

#: A change that the gateway makes by itself: after so many seconds, and a webhook tells of it.
Change = tuple[float, Callable[[TwinReceipt], None]]


@dataclass(frozen=True)
class Deed:
    """What a person does to it."""

    act: Act
    #: So many seconds after it was entered for the first time; `RECEIVED`: after the receipt's beginning.
    seconds: float
    after: State
    word: State = State.REJECTED
    force: bool = False
    restock: bool = False


@dataclass
class Story:
    """One receipt: what is asked for, what the gateway has, what goes wrong, what happens later."""

    beginning: str
    order: Order
    receipt: TwinReceipt
    long_seconds: float
    #: Seconds after the world's beginning.
    begins: float = 0
    #: Seconds after which the gateway has it; None: never.
    appears: float | None = 0
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    #: Messages: seconds after its beginning, and the document.
    deliveries: list[tuple[float, Order]] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    #: Seconds after it was confirmed, and whether all of it is cancelled in the payment company's console.
    cancelled_elsewhere: list[tuple[float, bool]] = field(default_factory=list)
    #: The look during which somebody else approves it; 0: none.
    approved_at_look: int = 0
    #: How many workers die of it in a row.
    crashes: int = 0

    @property
    def may_move_late(self) -> bool:
        """Whether money may move unseen: paid by another way, or by a submit that said no, acted, and hid it."""
        hidden = any(fault.acts and isinstance(fault.answer, Refused) for fault in self.faults.get("submit", []))
        return hidden or self.approved_at_look > 0 or any(change is pay_unless_charged for _, change in self.changes)

    def leave_out(self, fate: Fate) -> None:
        """Leave out what this fate doesn't keep."""
        for call, faults in self.faults.items():
            self.faults[call] = [fault for n, fault in enumerate(faults) if fate.keeps(f"{call}-fault/{n}")]
        first, *others = self.deliveries
        self.deliveries = [first, *(other for n, other in enumerate(others) if fate.keeps(f"delivery/{n}"))]
        self.deeds = [deed for n, deed in enumerate(self.deeds) if fate.keeps(f"deed/{n}")]
        self.cancelled_elsewhere = [
            cancel for n, cancel in enumerate(self.cancelled_elsewhere) if fate.keeps(f"cancelled-elsewhere/{n}")
        ]
        if self.approved_at_look and not fate.keeps("approved-at-look"):
            self.approved_at_look = 0
        if self.crashes and not fate.keeps("crashes"):
            self.crashes = 0


def draw(random: Random, number: int, long_seconds: float) -> Story:
    """Draw one receipt's story. What is late on its way takes this long: past the deadline."""
    order = _order(random, number)
    api = random.choice(("v1", "v2"))
    beginning = random.choices(list(BEGINNINGS), list(BEGINNINGS.values()))[0]
    story = Story(beginning, order, TwinReceipt(order.order_id, order.amount, api=api), long_seconds)
    _begin(story, random)
    if random.random() < 0.1:
        story.receipt.declined_as = random.choice((2, -2))
    story.faults = {
        "submit": some(random, 0.28, lambda: submit_fault(random, api, long_seconds)),
        "look_up": look_up_faults(random),
        # A refused cancel of what was partly cancelled before keeps its number, and is tried for a day: 200 times.
        "cancel": some(random, 0.4, lambda: cancel_fault(random, 0.05 if beginning == "partly cancelled" else 0.5)),
    }
    story.deliveries = _deliveries(random, order)
    story.deeds = _deeds(random)
    if random.random() < 0.04:
        story.cancelled_elsewhere = [
            (random.uniform(0, 4000), random.random() < 0.7) for _ in range(random.randint(1, 2))
        ]
    story.crashes = random.randint(3, 9) if random.random() < 0.01 else 0
    return story


def _order(random: Random, number: int) -> Order:
    """An order of its own, or now and then one that an earlier receipt has, too."""
    shared = number > 0 and random.random() < 0.15
    order_number = random.randint(max(0, number - 5), number - 1) if shared else number
    return Order(f"r{number}", f"o{order_number}", Money(1000 + order_number, "KRW"), _items(random))


def _items(random: Random) -> dict[str, int]:
    kind = random.random()
    if kind < 0.2:
        return {}
    if kind < 0.22:
        return {"nowhere": 1, "plenty": 1}
    if kind < 0.45:
        return {random.choice(list(SCARCE)): random.randint(1, 2), "plenty": 1}
    return {sku: random.randint(1, 3) for sku in PLENTY}


def _begin(story: Story, random: Random) -> None:
    """Set the gateway's receipt up as the beginning says."""
    receipt = story.receipt
    if story.beginning in STATUSES:
        receipt.status = STATUSES[story.beginning]
    if story.beginning in SETTERS:
        SETTERS[story.beginning](story, random)
    receipt.charges = int(receipt.status in (1, -20))


def _other_amount(story: Story, random: Random) -> None:
    story.receipt.amount = Money(story.receipt.amount.minor + 500, random.choice(("KRW", "USD")))


def _partly_cancelled(story: Story, random: Random) -> None:
    story.receipt.cancelled = random.randint(1, story.receipt.amount.minor - 1)


def _in_flight(story: Story, random: Random) -> None:
    story.receipt.status = IN_FLIGHT[story.receipt.api]
    story.changes.append((soon_or_late(random, story.long_seconds), random.choice((TwinReceipt.pay, _ready, _failed))))


def _another_orders(story: Story, random: Random) -> None:
    story.receipt.order_id = "somebody-else"
    story.receipt.status = random.choice((1, 2))


def _never_appears(story: Story, random: Random) -> None:
    del random
    story.appears = None


def _appears_later(story: Story, random: Random) -> None:
    story.appears = soon_or_late(random, story.long_seconds)


def _authorised_later(story: Story, random: Random) -> None:
    story.changes.append((soon_or_late(random, story.long_seconds), _ready))


def _deposit(story: Story, random: Random) -> None:
    story.receipt.status, story.receipt.virtual_account = {"v1": 2, "v2": 5}[story.receipt.api], True
    story.changes.append((random.uniform(1, 9000), pay_unless_charged))


def _cancel_failed(story: Story, random: Random) -> None:
    del random
    story.receipt.status, story.receipt.api = -20, "v1"


def _approved_elsewhere(story: Story, random: Random) -> None:
    story.changes.append((random.uniform(0, 9000), pay_unless_charged))


def _approved_at_a_look(story: Story, random: Random) -> None:
    story.approved_at_look = random.randint(1, 6)


STATUSES = {
    "paid": 1,
    "paid, other amount": 1,
    "partly cancelled": 1,
    "failed": -2,
    "cancelled": 20,
    "not authorised yet": 0,
    "never authorised": 0,
    "no payment": 11,
    "undocumented": 77,
}
SETTERS: dict[str, Callable[[Story, Random], None]] = {
    "other amount": _other_amount,
    "paid, other amount": _other_amount,
    "partly cancelled": _partly_cancelled,
    "in flight": _in_flight,
    "another order's": _another_orders,
    "not there": _never_appears,
    "not there yet": _appears_later,
    "not authorised yet": _authorised_later,
    "waits for a deposit": _deposit,
    "cancel failed": _cancel_failed,
    "approved elsewhere": _approved_elsewhere,
    "approved during a look": _approved_at_a_look,
}


def _ready(receipt: TwinReceipt) -> None:
    receipt.status = 2


def _failed(receipt: TwinReceipt) -> None:
    receipt.status = -2


def pay_unless_charged(receipt: TwinReceipt) -> None:
    """Have the buyer pay by another way, where nothing was paid yet."""
    if receipt.status in (2, 5) and not receipt.charges:
        receipt.pay()


def _deliveries(random: Random, order: Order) -> list[tuple[float, Order]]:
    deliveries = [(0.0, order)]
    while random.random() < 0.2:
        deliveries.append((random.choice((0.0, random.uniform(0, 30), random.uniform(0, 4000))), order))
    if random.random() < 0.05:
        other = replace(order, order_id="somebody-else")
        deliveries.append((random.uniform(0, 40), other))
    return deliveries


def _deeds(random: Random) -> list[Deed]:
    """What people do: now and then at any moment, and mostly where they are asked."""
    deeds = []
    if random.random() < 0.05:
        act = random.choice(list(Act))
        deeds.append(_deed(random, act, State.RECEIVED, random.choice((5.0, 4000.0))))
    if random.random() < 0.5:
        acts = random.choices((Act.RESOLVE, Act.VOID, Act.RETRY), (6, 2, 1), k=random.randint(1, 2))
        deeds += [_deed(random, act, State.REVIEW, random.choice((1.0, 60.0, 4000.0))) for act in acts]
    if random.random() < 0.05:
        deeds += [_deed(random, Act.VOID, State.CONFIRMED, 4000.0) for _ in range(random.randint(1, 2))]
    return deeds


def _deed(random: Random, act: Act, after: State, within_seconds: float) -> Deed:
    return Deed(
        act,
        random.uniform(0, within_seconds),
        after,
        word=random.choice((State.CONFIRMED, State.REJECTED, State.VOIDED)),
        force=random.random() < 0.7,
        restock=random.random() < 0.5,
    )
