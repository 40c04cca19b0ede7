"""Following the feed without a thread, or a look of its own, for each who does.

The rows are the truth. A hint says that there are more; where hints get lost they are looked at anyway. All who are at
the same place share one look.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from api import cursors
from api.bells import heard
from confirmation.errors import StoreBusy, StoreUnavailable
from worker.store.feed import Placed

#: How often all look without a hint.
LOOK_SECONDS = 2.0
#: A connection on which nothing comes is given up by what stands between.
HEARTBEAT_SECONDS = 15.0
#: So many events are read at once for one who is behind: all that a slow reader costs, beside its socket's buffers.
PAGE = 50

#: What goes out to a reader at once: no more than a socket's buffer, and not each event alone, so that hundreds who
#: read from the beginning don't take the event loop from those who hand orders in.
PIECE_BYTES = 64 * 1024

_HEARTBEAT = b": waiting\n\n"
#: After a connection was lost, in milliseconds.
_COME_BACK = b"retry: 2000\n\n"

#: No ends of lines to a reader of server-sent events, but to one that splits its text as many libraries do.
_NO_LINES = {line: f"\\u{line:04x}" for line in (0x85, 0x2028, 0x2029)}

Read = Callable[[int, int], Awaitable[list[Placed]]]
Frames = list[tuple[int, bytes]]


class Following:
    """Those who follow the feed in this process. Used from the event loop only."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._bell = asyncio.Event()
        self._looks: dict[int, asyncio.Task[Frames]] = {}
        self._closed = False
        #: How many follow now.
        self.readers = 0

    async def run(self) -> None:
        """Have everybody look now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.ring()

    def ring(self) -> None:
        """Have everybody look: the feed has grown, or a hint may have been lost."""
        rung, self._bell = self._bell, asyncio.Event()
        self._looks = {}  # what was asked for before may not have seen it
        rung.set()

    def close(self) -> None:
        """End every stream where it is: this process ends, and its readers come back to another."""
        self._closed = True
        self.ring()

    async def frames(self, after: int) -> AsyncIterator[bytes]:
        """Give the events after this place as server-sent events, and go on for as long as somebody reads."""
        self.readers += 1
        try:
            async for frame in self._told(after):
                yield frame
        finally:
            self.readers -= 1

    async def _told(self, after: int) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        yield _COME_BACK
        told = clock()
        while not self._closed:
            bell = self._bell  # taken before the look, so that no hint falls between
            frames = await self._look(after)
            for place, frame in frames:
                yield frame
                after, told = place, clock()
            if not frames:
                await heard(bell, told + HEARTBEAT_SECONDS - clock())
                if clock() >= told + HEARTBEAT_SECONDS:
                    yield _HEARTBEAT
                    told = clock()

    async def _look(self, after: int) -> Frames:
        """Read on from here, together with all others who are here. A database that is away only makes it later."""
        looks = self._looks
        look = looks.get(after)
        if look is None:
            look = looks[after] = asyncio.create_task(self._frames(after))
            look.add_done_callback(lambda _: looks.pop(after))
        return await asyncio.shield(look)  # one who leaves takes it from nobody

    async def _frames(self, after: int) -> Frames:
        try:
            placed = await self._read(after, PAGE)
        except (StoreBusy, StoreUnavailable):
            return []
        return _pieces([(place, _frame(place, event)) for place, event in placed])


def _pieces(frames: Frames) -> Frames:
    """Join what fits into one piece, each with the place of its last event: each piece is a turn of the event loop."""
    pieces: Frames = []
    for place, frame in frames:
        if pieces and len(pieces[-1][1]) + len(frame) <= PIECE_BYTES:
            pieces[-1] = place, pieces[-1][1] + frame
        else:
            pieces.append((place, frame))
    return pieces


def _frame(place: int, event: dict[str, Any]) -> bytes:
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":")).translate(_NO_LINES)
    return f"id: {cursors.write(place)}\nevent: {event['type']}\ndata: {data}\n\n".encode()
