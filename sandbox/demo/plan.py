"""What is done to the house while buyers rush in: decided before it begins, so that a seed tells it once more."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sandbox.demo.cast import ARRIVALS_PER_SECOND, COPIES_SHARE, Buyer, Kind

#: A worker is left in peace for so long before the next is killed: every second or so.
PEACE_SECONDS = (0.7, 1.3)
#: Longer than the longest lease of a healthy house, 18 s, so that all that a stopped worker held is others' by then.
STOPPED_SECONDS = 19.0
#: The gateway is late by this much; a look-up may take 5 s, a submit 12 s.
LATE_SECONDS = {"receipt": 2, "approve": 3, "cancel": 3}
#: For so many receipts one call to the gateway goes wrong; and every cancel, since there are few.
FAULTY_SHARE = 0.25


@dataclass(frozen=True)
class Degree:
    """What a degree of harm asks of the house and of the rush."""

    workers: int = 2
    #: So many buyers arrive in a second, where there are enough of them.
    per_second: int = ARRIVALS_PER_SECOND
    #: The share of receipts that are delivered again.
    copies_share: float = COPIES_SHARE
    #: However few the buyers are: things must have time to happen.
    shortest_seconds: float = 0.0


class Harm(Enum):
    """How much is done to the house."""

    NONE = Degree()
    KILL = Degree(shortest_seconds=4.0)
    #: Slower, so that it lasts long enough for everything to happen in its midst; and one worker will be stopped.
    CHAOS = Degree(workers=3, per_second=ARRIVALS_PER_SECOND // 2, copies_share=3 * COPIES_SHARE, shortest_seconds=8.0)

    @property
    def kills(self) -> bool:
        """Whether workers are killed."""
        return self is not Harm.NONE

    @property
    def chaos(self) -> bool:
        """Whether servers are lost, too, and the gateway misbehaves."""
        return self is Harm.CHAOS

    def rush_seconds(self, receipts: int) -> float:
        """For how long buyers arrive."""
        return max(receipts / self.value.per_second, self.value.shortest_seconds)


class Deed(Enum):
    """One thing that is done to the house, in the words of the report."""

    KILL_WORKER = "worker killed, and started again by its supervisor"
    STOP_WORKER = f"worker stopped for {STOPPED_SECONDS:.0f} s, longer than any lease, and continued"
    KILL_RELAY = "relay killed, and started again"
    LOSE_REDIS = "Redis killed, and started again with nothing in it"
    CRASH_POSTGRES = "PostgreSQL killed, and started again (crash recovery)"


#: What is done once, and in which part of the rush. The worker is stopped well after PostgreSQL is back: otherwise what
#: it has to say when it goes on, too late, is lost with its connections.
ONCE = {
    Deed.CRASH_POSTGRES: (0.1, 0.2),
    Deed.STOP_WORKER: (0.6, 0.7),
    Deed.LOSE_REDIS: (0.75, 0.85),
    Deed.KILL_RELAY: (0.1, 0.9),
}
#: A server is away for so long before it is started again.
AWAY_SECONDS = 1.5
#: Once it is back, everybody has found it after so long, and is at work again.
FOUND_SECONDS = 1.0
#: Servers that were given are somebody's.
OURS_ONLY = frozenset({Deed.LOSE_REDIS, Deed.CRASH_POSTGRES})


@dataclass(frozen=True)
class Planned:
    """A deed, how long after the rush began, and a number from 0 to 1 that chooses whom it meets."""

    at_seconds: float
    deed: Deed
    choice: float = 0.0


def plan(seed: int, harm: Harm, seconds: float, *, servers_are_ours: bool) -> list[Planned]:
    """Say what is done in a rush of so many seconds, in order. The same seed plans the same."""
    chance = random.Random(f"deeds {seed}")  # noqa: S311 - a story, no secret
    planned = list(_kills(chance, seconds)) if harm.kills else []
    for deed, (earliest, latest) in ONCE.items():
        at_seconds, choice = chance.uniform(earliest, latest) * seconds, chance.random()
        if harm.chaos and (servers_are_ours or deed not in OURS_ONLY):
            planned.append(Planned(at_seconds, deed, choice))
    return sorted(planned, key=lambda each: each.at_seconds)


def _kills(chance: random.Random, seconds: float) -> Iterator[Planned]:
    at_seconds = chance.uniform(*PEACE_SECONDS)
    while at_seconds < seconds:
        yield Planned(at_seconds, Deed.KILL_WORKER, chance.random())
        at_seconds += chance.uniform(*PEACE_SECONDS)


#: What the gateway does wrong, by its own names, and whether the call takes effect all the same.
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "lost_answer"},
    {"fault": "hang"},
    {"fault": "http_500", "acts": True},
    {"fault": "http_500", "acts": False},
    {"fault": "http_429"},
)
#: Whose approval may go wrong in any of these ways. A decline is scripted already and must stay one, an answer is lost
#: already, and the others aren't approved.
APPROVED = frozenset({Kind.PLAIN, Kind.SCARCE, Kind.TWO_RECEIPTS})


def gateway_faults(seed: int, buyers: list[Buyer]) -> list[dict[str, Any]]:
    """Say which calls to the gateway go wrong, and how, as its control route takes it."""
    chance = random.Random(f"faults {seed}")  # noqa: S311 - a story, no secret
    known = [buyer for buyer in buyers if buyer.receipt]
    unlucky = chance.sample(known, math.ceil(len(known) * FAULTY_SHARE))
    calls = [(buyer, chance.choice(("receipt", "approve"))) for buyer in unlucky]
    calls = [(buyer, call if buyer.kind in APPROVED else "receipt") for buyer, call in calls]
    calls += [(buyer, "cancel") for buyer in known if buyer.kind is Kind.PAID_FOR_NOTHING]
    return [_fault(chance, buyer, call) for buyer, call in calls]


def _fault(chance: random.Random, buyer: Buyer, call: str) -> dict[str, Any]:
    fault = chance.choice(FAULTS)
    late = {"seconds": LATE_SECONDS[call]} if fault["fault"] == "hang" else {}
    return {"call": call, "receipt_id": buyer.receipt_id, **fault, **late}
