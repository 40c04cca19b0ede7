"""The two doors as a shop's service sees them: HTTP, and Celery with its results in Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
from celery import Celery
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sandbox.demo.cast import Door
from sandbox.demo.house import House
from sandbox.demo.interrupts import heed
from sandbox.demo.programs import HouseProblem

TASK, QUEUE = "payconfirm.confirm", "payconfirm"
RESULT_KEY = "celery-task-meta-payconfirm-"
#: The HTTP door lets a caller wait for so long; whoever wants more asks again.
WAIT_SECONDS = 25
SUBSCRIBE_SECONDS = 5.0
#: Between two tries to reach a Redis that is away; the HTTP door says itself when to come back.
AWAY_SECONDS = 0.3
#: A broker that is away is said to be away; without this kombu tries for seconds.
QUICKLY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
DRAINED_POLL_SECONDS = 0.05
#: Every place where a message of ours can still be: both queues, that of what was given up, and a list for each queue
#: and each worker's channel of what that one has taken and not acknowledged.
QUEUES, TAKEN = ("payconfirm", "payconfirm.again", "payconfirm.dead"), "payconfirm:taken"


class Turned(Exception):
    """A door didn't take the document, or answered what it never should; the message says what."""


class Doors:
    """Both doors, open.

    A patient shop comes again where a door can't take its document now. Where Redis was away it sends what it has sent
    and doesn't know the end of once more, since the message may be lost: the same document again is the same job.
    """

    def __init__(self, http: aiohttp.ClientSession, celery: Celery, redis: Redis, *, patient: bool) -> None:
        self.listening = asyncio.Event()
        #: How often a document was sent again since its message may have been lost, and since a door said "not now".
        self.asked_again, self.put_off = 0, 0
        self._http = http
        self._celery = celery
        self._redis = redis
        self._patient = patient
        self._waiting: dict[str, Mapping[str, Any]] = {}
        self._results: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def send(self, door: Door, document: Mapping[str, Any]) -> None:
        """Hand a document in, and return once the door has said that it has it; or raise `Turned`."""
        hand_in = self._publish if door is Door.CELERY else self._post
        while come_again_seconds := await hand_in(document):
            self.put_off += 1
            await asyncio.sleep(come_again_seconds)

    def expect(self, receipt_id: str) -> None:
        """Say, before sending, that the result will be waited for."""
        self._results[receipt_id] = asyncio.get_running_loop().create_future()

    async def wait(self, door: Door, document: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for the final result document."""
        receipt_id = str(document["receipt_id"])
        if door is Door.CELERY:
            self._waiting[receipt_id] = document
            return await self._results[receipt_id]
        while True:
            async with self._http.get(f"/v1/confirmations/{receipt_id}", params={"wait": WAIT_SECONDS}) as answer:
                result = await self._read(answer, 200)
            if result is None:
                await asyncio.sleep(_seconds(answer))
            elif result["final"]:
                return result

    async def drained(self, seconds: float) -> bool:
        """Say whether within so many seconds no message waits or is being worked on: every copy has been met, too.

        It looks at the clock itself: before Python 3.12 redis-py waits in a way that may lose a cancellation, and a
        time-out around this with it.
        """
        await asyncio.gather(*self._asking)
        end = time.monotonic() + seconds
        while messages := await self._messages():
            heed()
            if time.monotonic() > end:
                break
            await asyncio.sleep(DRAINED_POLL_SECONDS)
        return not messages

    async def _messages(self) -> int:
        owners = [str(owner) for owner in await self._redis.hkeys(f"{TAKEN}:owners")]
        async with self._redis.pipeline(transaction=True) as pipeline:
            for place in (*QUEUES, *(f"{TAKEN}:{owner}:{queue}" for owner in owners for queue in QUEUES)):
                pipeline.llen(place)
            return sum(await pipeline.execute())

    async def hear(self) -> None:
        """Take in results as they are published, which is how a Celery client hears of them."""
        while True:
            try:
                async with self._redis.pubsub() as published:
                    await published.psubscribe(f"{RESULT_KEY}*")
                    async for message in published.listen():
                        await self._take_in(message)
            except RedisError:
                if not self._patient:
                    raise
                await asyncio.sleep(AWAY_SECONDS)

    async def _take_in(self, message: dict[str, Any]) -> None:
        if message["type"] == "pmessage":
            self._hear_of(message["channel"].removeprefix(RESULT_KEY), message["data"])
        elif message["type"] == "psubscribe" and self.listening.is_set():
            await self._come_back()
        self.listening.set()

    async def _come_back(self) -> None:
        """Redis was away: look for results, as Celery's own client does, and ask again for those that aren't there."""
        open_ = [receipt_id for receipt_id in self._waiting if not self._results[receipt_id].done()]
        for receipt_id in open_:
            if stored := await self._redis.get(RESULT_KEY + receipt_id):
                self._hear_of(receipt_id, stored)
            else:
                self.asked_again += 1
                self._asking.add(asyncio.create_task(self.send(Door.CELERY, self._waiting[receipt_id])))

    def _hear_of(self, receipt_id: str, stored: str | bytes) -> None:
        expected = self._results.get(receipt_id)
        if expected and not expected.done():
            _settle(expected, json.loads(stored))

    async def _publish(self, document: Mapping[str, Any]) -> float | None:
        """Send by Celery; None once the broker has it, else after how many seconds to come again."""
        task_id = f"payconfirm-{document['receipt_id']}"
        options = {"queue": QUEUE, "task_id": task_id, "ignore_result": True}
        try:
            await asyncio.to_thread(self._celery.send_task, TASK, [document], **options)
        except (OperationalError, RedisError) as error:
            if not self._patient:
                raise Turned(f"the broker is away: {error}") from error
            return AWAY_SECONDS
        return None

    async def _post(self, document: Mapping[str, Any]) -> float | None:
        """Send by HTTP; None once the door has it, else after how many seconds it says to come again."""
        async with self._http.post("/v1/confirmations", json=document) as answer:
            return _seconds(answer) if await self._read(answer, 200, 202) is None else None

    async def _read(self, answer: aiohttp.ClientResponse, *good: int) -> dict[str, Any] | None:
        """Read an answer; None where the door says "not now". Raises `Turned` for what it never should say."""
        if answer.status in good:
            document: dict[str, Any] = await answer.json()
            return document
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and self._patient:
            return None
        raise Turned(f"{answer.method} answered {answer.status}: {await answer.text()}")


@asynccontextmanager
async def open_doors(house: House, *, patient: bool = False) -> AsyncIterator[Doors]:
    """Open both doors, and listen for results before anything can be sent."""
    redis_url = house.addresses.redis_url
    async with AsyncExitStack() as stack:
        bearer = {"Authorization": f"Bearer {house.keys.api}"}
        unlimited = aiohttp.TCPConnector(limit=0)  # everybody who waits holds a connection
        http = await stack.enter_async_context(
            aiohttp.ClientSession(house.web_url, headers=bearer, connector=unlimited)
        )
        redis = await stack.enter_async_context(Redis.from_url(redis_url, decode_responses=True))
        celery = Celery("a-shop", broker=redis_url, set_as_current=False)
        stack.callback(celery.close)
        celery.conf.task_publish_retry = False
        celery.conf.broker_transport_options = QUICKLY
        doors = Doors(http, celery, redis, patient=patient)
        hearing = asyncio.create_task(doors.hear())
        stack.callback(hearing.cancel)
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await doors.listening.wait()
        except TimeoutError:
            raise HouseProblem(f"Redis doesn't say within {SUBSCRIBE_SECONDS:.0f} s that it publishes to us") from None
        yield doors


def _seconds(answer: aiohttp.ClientResponse) -> float:
    return float(answer.headers["Retry-After"])


def _settle(expected: asyncio.Future[dict[str, Any]], stored: dict[str, Any]) -> None:
    if stored["status"] == "SUCCESS":
        expected.set_result(stored["result"])
    else:
        expected.set_exception(Turned(f"{stored['status']}: {stored['result']}"))
