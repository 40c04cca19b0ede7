"""What the routes need, built in one place. Nothing connects until it is first used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from sqlalchemy import Engine

from api.hearing import Hearing
from api.intake import Intake
from api.keys import Keys
from api.rate import PostRate
from api.sending import Outgoing
from api.sources import Sources
from api.threads import Threads
from api.waiting import Waiting
from config.settings import Settings
from worker.bootstrap import build_door
from worker.callbacks.hosts import AllowedHosts
from worker.store.ledger import Ledger


@dataclass(frozen=True)
class Door:
    """The parts of one `web` process."""

    engine: Engine
    #: Which of Bootpay's versions is spoken: it decides how a webhook is answered.
    api: str
    ledger: Ledger
    threads: Threads
    keys: Keys
    sources: Sources
    rate: PostRate
    intake: Intake
    outgoing: Outgoing
    waiting: Waiting
    hearing: Hearing

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Send messages and hear hints for as long as the door is open."""
        self.outgoing.start()
        hearing = asyncio.create_task(self.hearing.run())
        try:
            yield
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
            await self.hearing.close()
            self.threads.close()
            self.outgoing.close()
            self.engine.dispose()


def door_of(request: Request) -> Door:
    """Give the door that a request came through."""
    door: Door = request.app.state.door
    return door


def build(settings: Settings) -> Door:
    """Build the parts."""
    parts = build_door(settings)
    threads = Threads()
    outgoing = Outgoing(parts.sender)

    async def read(receipt_id: str) -> dict[str, Any] | None:
        return await threads.run(parts.reading.result, receipt_id)

    waiting = Waiting(read)
    return Door(
        engine=parts.engine,
        api=settings.bootpay_api,
        ledger=parts.ledger,
        threads=threads,
        keys=Keys(settings),
        sources=Sources(settings.webhook_sources),
        rate=PostRate(settings.post_rate),
        intake=Intake(parts.ledger, parts.reading, AllowedHosts(settings.callback_allowed_hosts), outgoing),
        outgoing=outgoing,
        waiting=waiting,
        hearing=Hearing(settings.redis_url.get_secret_value(), waiting),
    )
