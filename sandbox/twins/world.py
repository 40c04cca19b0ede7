"""All the twins together, and the `World` that the rules get."""

from itertools import count
from uuid import UUID

from confirmation.ports import Terms, World
from sandbox.twins.clock import Clock
from sandbox.twins.gateway import TwinGateway
from sandbox.twins.lock import TwinLock
from sandbox.twins.numbers import numbered
from sandbox.twins.operating import TwinOperating
from sandbox.twins.store import TwinStore


class Twins:
    """One clock, one store and what people do to it, one gateway, one lock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = TwinStore(self.clock)
        self.gateway = TwinGateway(self.clock)
        self.lock = TwinLock(self.clock)
        self.operating = TwinOperating(self.store)
        self._event_ids = count(1)

    def world(self, terms: Terms | None = None) -> World:
        """Build a worker's world over the twins; waits have no jitter to speak of."""
        return World(
            store=self.store,
            gateway=self.gateway,
            lock=self.lock,
            terms=terms or Terms(),
            tick=self.clock.tick,
            jitter=lambda: 0.5,
            event_id=self.event_id,
        )

    def event_id(self) -> UUID:
        """Give the next id."""
        return numbered(next(self._event_ids))
