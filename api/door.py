"""What the routes need, built in one place. Nothing connects until it is first used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from sqlalchemy import Engine

from api.desk import Desk
from api.following import Following
from api.hearing import Hearing
from api.intake import Intake
from api.keys import Keys
from api.rate import PostRate
from api.sending import Outgoing
from api.sources import Sources
from api.threads import (
    ASIDE_THREADS,
    HOOK_THREADS,
    IN_LINE_THREADS,
    READY_SECONDS,
    READY_THREADS,
    RESOLVING_SECONDS,
    RESOLVING_THREADS,
    Threads,
)
from api.waiting import Waiting
from config.settings import Settings
from worker.bootstrap import build_door
from worker.callbacks.hosts import AllowedHosts
from worker.duty.measures import Measures
from worker.relay.queues import BoundQueues
from worker.store.feed import Feed, Placed
from worker.store.ledger import Ledger

#: So long a task that is to end may take to hear of it.
_SAID_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Door:
    """The parts of one `web` process."""

    engine: Engine
    #: Which of Bootpay's versions is spoken: it decides how a webhook is answered.
    api: str
    ledger: Ledger
    threads: Threads
    aside: Threads
    resolving: Threads
    hooks: Threads
    in_line: Threads
    ready: Threads
    keys: Keys
    sources: Sources
    rate: PostRate
    intake: Intake
    outgoing: Outgoing
    waiting: Waiting
    feed: Feed
    following: Following
    hearing: Hearing
    desk: Desk
    measures: Measures
    queues: BoundQueues

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Send messages and hear hints for as long as the door is open."""
        self.outgoing.start()
        running = [asyncio.create_task(self.hearing.run()), asyncio.create_task(self.following.run())]
        try:
            yield
        finally:
            for task in running:
                await end(task)
            await self.hearing.close()
            for threads in (self.threads, self.aside, self.resolving, self.hooks, self.in_line, self.ready):
                threads.close()
            self.outgoing.close()
            self.engine.dispose()


async def end(task: asyncio.Task[None]) -> None:
    """End a task. What is said while redis-py connects it may take for a time-out of its own; so until it is heard."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_SAID_AGAIN_SECONDS)


def door_of(request: Request) -> Door:
    """Give the door that a request came through."""
    door: Door = request.app.state.door
    return door


def build(settings: Settings) -> Door:
    """Build the parts."""
    parts = build_door(settings)
    threads = Threads()
    outgoing = Outgoing(parts.sender)

    aside = Threads(ASIDE_THREADS, "aside")
    feed = Feed(parts.engine)

    async def read(receipt_id: str) -> dict[str, Any] | None:
        return await threads.run(parts.reading.result, receipt_id)

    async def read_on(after: int, most: int) -> list[Placed]:
        return await aside.run(feed.read, after, most)

    waiting, following = Waiting(read), Following(read_on)
    return Door(
        engine=parts.engine,
        api=settings.bootpay_api,
        ledger=parts.ledger,
        threads=threads,
        aside=aside,
        resolving=Threads(RESOLVING_THREADS, "resolving", RESOLVING_SECONDS),
        hooks=Threads(HOOK_THREADS, "hooks"),
        in_line=Threads(IN_LINE_THREADS, "in line"),
        ready=Threads(READY_THREADS, "ready", READY_SECONDS),
        keys=Keys(settings),
        sources=Sources(settings.webhook_sources),
        rate=PostRate(settings.post_rate),
        intake=Intake(parts.ledger, parts.reading, AllowedHosts(settings.callback_allowed_hosts), outgoing),
        outgoing=outgoing,
        waiting=waiting,
        feed=feed,
        following=following,
        hearing=Hearing(settings.redis_url.get_secret_value(), waiting, following),
        desk=Desk(settings, parts.engine),
        measures=Measures(parts.engine),
        queues=BoundQueues(settings.events),
    )
