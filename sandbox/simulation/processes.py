"""The worker processes: each has a view of its own of the database's clock."""

from dataclasses import replace
from itertools import cycle
from uuid import UUID

from confirmation.confirmation import Hold
from confirmation.ports import World
from confirmation.steadiness import Steadiness
from sandbox.twins import Clock

PROCESSES = 3


class Processes:
    """Take messages in turn."""

    def __init__(self, world: World) -> None:
        self._worlds = [replace(world, steadiness=Steadiness()) for _ in range(PROCESSES)]
        self._turns = cycle(self._worlds)

    def next(self) -> World:
        """Give the one that takes the next message."""
        return next(self._turns)

    def claim_something(self, clock: Clock) -> None:
        """Have each claim something that is of no interest here: they are busy, and know the clock as it is now."""
        for world in self._worlds:
            world.steadiness.claimed(Hold(UUID(int=0), clock.tick(), clock.now(), 0), clock.tick())
