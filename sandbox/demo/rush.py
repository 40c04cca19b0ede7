"""The rush: everybody buys, nearly at once, and waits until told."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from sandbox.demo.cast import Buyer, Door, End
from sandbox.demo.doors import Doors, Turned, open_doors
from sandbox.demo.house import House
from sandbox.demo.programs import HouseProblem
from sandbox.demo.wrecker import Wrecker

#: Whoever hasn't been told after this long never will be. The slowest kind takes ten seconds by the rules; what
#: a worker that was killed had begun waits for the end of its lease, and the order's second receipt for that.
PATIENCE_SECONDS = 120
WATCH_SECONDS = 0.2
#: Copies are acknowledged in milliseconds; those that a killed worker held are back by then.
DRAINED_SECONDS = 20

Told = Callable[[], None]


@dataclass(frozen=True)
class Ending:
    """What a buyer was told, and how long after the document was handed in."""

    buyer: Buyer
    end: End
    amount: int
    sent_at: float
    told_at: float

    @property
    def seconds(self) -> float:
        """From just before the document was sent until its final result was here."""
        return self.told_at - self.sent_at

    @property
    def right(self) -> bool:
        """Whether this may be told to such a buyer."""
        return self.end in self.buyer.kind.right


@dataclass(frozen=True)
class Rush:
    """Everybody who came, what each was told, and what the doors asked of them meanwhile."""

    endings: list[Ending]
    #: Documents sent again since Redis may have lost their message.
    asked_again: int
    #: Times that a door said "not now".
    put_off: int


def rush(buyers: list[Buyer], house: House, told: Told, wrecker: Wrecker | None = None) -> Rush:
    """Have everybody buy, and return what each was told. Raises `HouseProblem` if the house falls down meanwhile."""
    return asyncio.run(_rush(buyers, house, told, wrecker))


async def _rush(buyers: list[Buyer], house: House, told: Told, wrecker: Wrecker | None) -> Rush:
    async with open_doors(house, patient=wrecker is not None and wrecker.loses_servers) as doors:
        buying = asyncio.ensure_future(_buy_all(buyers, doors, told, wrecker))
        watching = asyncio.ensure_future(_watch(house))
        done, rest = await asyncio.wait({buying, watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        if watching in done:
            watching.result()
        return Rush(buying.result(), doors.asked_again, doors.put_off)


async def _buy_all(buyers: list[Buyer], doors: Doors, told: Told, wrecker: Wrecker | None) -> list[Ending]:
    buying = asyncio.gather(*(_buy(buyer, doors, told) for buyer in buyers))
    if wrecker:
        await asyncio.gather(buying, wrecker.wreck())
    endings = await buying
    if not await doors.drained(DRAINED_SECONDS):
        raise HouseProblem(f"messages still wait in Redis {DRAINED_SECONDS} s after everybody was told")
    return endings


async def _watch(house: House) -> None:
    while True:
        house.check()
        await asyncio.sleep(WATCH_SECONDS)


async def _buy(buyer: Buyer, doors: Doors, told: Told) -> Ending:
    await asyncio.sleep(buyer.arrives_seconds)
    doors.expect(buyer.receipt_id)
    sent_at = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as copies:
            await doors.send(buyer.doors[0], buyer.document)
            for door, after_seconds in zip(buyer.doors[1:], buyer.copies_after_seconds, strict=True):
                copies.create_task(_copy(buyer, doors, door, after_seconds))
            document = await doors.wait(buyer.doors[0], buyer.document)
            told_at = time.monotonic()
    except* (Turned, aiohttp.ClientError, TimeoutError) as problems:
        problem = problems.exceptions[0]
        end, amount, told_at = (type(problem).__name__, str(problem) or None), 0, time.monotonic()
    else:
        end, amount = (document["state"], document["reason"]), document["amount"]
    told()
    return Ending(buyer, end, amount, sent_at, told_at)


async def _copy(buyer: Buyer, doors: Doors, door: Door, after_seconds: float) -> None:
    await asyncio.sleep(after_seconds)
    await doors.send(door, buyer.document)
