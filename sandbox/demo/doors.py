"""The two doors as a shop's service sees them: HTTP, and Celery with its results in Redis."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from celery import Celery
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from sandbox.demo.cast import Door
from sandbox.demo.house import House

TASK, QUEUE = "payconfirm.confirm", "payconfirm"
RESULT_KEY = "celery-task-meta-payconfirm-"
#: The HTTP door lets a caller wait for so long; whoever wants more asks again.
WAIT_SECONDS = 25
SUBSCRIBE_SECONDS = 5.0
DRAINED_POLL_SECONDS = 0.05
#: Every place where a message of ours can still be: both queues, and a list for each queue and each worker's channel of
#: what that one has taken and not acknowledged.
QUEUES, TAKEN = ("payconfirm", "payconfirm.again"), "payconfirm:taken"


class Turned(Exception):
    """A door didn't take the document, or answered what it never should; the message says what."""


class Doors:
    """Both doors, open."""

    def __init__(self, http: aiohttp.ClientSession, celery: Celery, redis: Redis) -> None:
        self._http = http
        self._celery = celery
        self._redis = redis
        self._results: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def send(self, door: Door, document: Mapping[str, Any]) -> None:
        """Hand a document in, and return once the door has said that it has it; or raise `Turned`."""
        if door is Door.CELERY:
            task_id = f"payconfirm-{document['receipt_id']}"
            options = {"queue": QUEUE, "task_id": task_id, "ignore_result": True}
            await asyncio.to_thread(self._celery.send_task, TASK, [document], **options)
            return
        async with self._http.post("/v1/confirmations", json=document) as answer:
            if answer.status not in (200, 202):
                raise Turned(f"POST answered {answer.status}: {await answer.text()}")

    def expect(self, receipt_id: str) -> None:
        """Say, before sending, that the result will be waited for."""
        self._results[receipt_id] = asyncio.get_running_loop().create_future()

    async def wait(self, door: Door, receipt_id: str) -> dict[str, Any]:
        """Wait for the final result document."""
        if door is Door.CELERY:
            return await self._results[receipt_id]
        while True:
            async with self._http.get(f"/v1/confirmations/{receipt_id}", params={"wait": WAIT_SECONDS}) as answer:
                if answer.status != 200:
                    raise Turned(f"GET answered {answer.status}: {await answer.text()}")
                document: dict[str, Any] = await answer.json()
            if document["final"]:
                return document

    async def drained(self) -> None:
        """Return once no message waits or is being worked on: every copy has been met, too."""
        owners = [str(owner) for owner in await self._redis.hkeys(f"{TAKEN}:owners")]
        while True:
            async with self._redis.pipeline(transaction=True) as pipeline:
                for place in (*QUEUES, *(f"{TAKEN}:{owner}:{queue}" for owner in owners for queue in QUEUES)):
                    pipeline.llen(place)
                if not any(await pipeline.execute()):
                    return
            await asyncio.sleep(DRAINED_POLL_SECONDS)

    async def hear(self, published: PubSub) -> None:
        """Take in results as they are published, which is how a Celery client hears of them."""
        async for message in published.listen():
            if message["type"] != "pmessage":
                continue
            receipt_id = message["channel"].removeprefix(RESULT_KEY)
            expected = self._results.get(receipt_id)
            if expected and not expected.done():
                _settle(expected, json.loads(message["data"]))


@asynccontextmanager
async def open_doors(house: House) -> AsyncIterator[Doors]:
    """Open both doors, and listen for results before anything can be sent."""
    redis_url = house.addresses.redis_url
    async with AsyncExitStack() as stack:
        bearer = {"Authorization": f"Bearer {house.keys.api}"}
        unlimited = aiohttp.TCPConnector(limit=0)  # everybody who waits holds a connection
        http = await stack.enter_async_context(
            aiohttp.ClientSession(house.web_url, headers=bearer, connector=unlimited)
        )
        redis = await stack.enter_async_context(Redis.from_url(redis_url, decode_responses=True))
        published = await stack.enter_async_context(redis.pubsub())
        celery = Celery("a-shop", broker=redis_url, set_as_current=False)
        stack.callback(celery.close)
        celery.conf.task_publish_retry = False
        doors = Doors(http, celery, redis)
        await published.psubscribe(f"{RESULT_KEY}*")
        await published.get_message(timeout=SUBSCRIBE_SECONDS)  # Redis says that it has noted it
        hearing = asyncio.create_task(doors.hear(published))
        stack.callback(hearing.cancel)
        yield doors


def _settle(expected: asyncio.Future[dict[str, Any]], stored: dict[str, Any]) -> None:
    if stored["status"] == "SUCCESS":
        expected.set_result(stored["result"])
    else:
        expected.set_exception(Turned(f"{stored['status']}: {stored['result']}"))
