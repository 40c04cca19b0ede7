"""The buyers of a demo whose Redis or broker was away: who was not told asks again, and nobody else."""

import asyncio
import json
from contextlib import asynccontextmanager
from threading import Event

import pytest
from kombu.exceptions import OperationalError
from redis.asyncio import Redis

from sandbox.demo.cast import Door
from sandbox.demo.doors import RESULT_KEY, Doors, Turned
from tests.integration.demos import PATIENCE_SECONDS


class Sent:
    """Celery, as far as a shop sends by it: away for the next so many tries, it keeps what was sent after them."""

    def __init__(self):
        self.receipt_ids, self.tries_away, self.four = [], 0, Event()

    def send_task(self, _name, arguments, **_):
        if self.tries_away:
            self.tries_away -= 1
            raise OperationalError
        self.receipt_ids += [document["receipt_id"] for document in arguments]
        if len(self.receipt_ids) == 4:
            self.four.set()


@asynccontextmanager
async def listening(redis_url, *, patient):
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        doors = Doors(None, Sent(), redis, patient=patient)
        hearing = asyncio.create_task(doors.hear())
        await doors.listening.wait()
        yield doors, redis
        hearing.cancel()


async def ordered(doors, *receipt_ids):
    """Have these sent and waited for."""
    waiting = {}
    for receipt_id in receipt_ids:
        document = {"receipt_id": receipt_id}
        doors.expect(receipt_id)
        await doors.send(Door.CELERY, document)
        waiting[receipt_id] = asyncio.create_task(doors.wait(Door.CELERY, document))
    await asyncio.sleep(0)
    return waiting


def stored(receipt_id):
    return f"{RESULT_KEY}{receipt_id}", json.dumps({"status": "SUCCESS", "result": {"receipt_id": receipt_id}})


def test_who_was_not_told_when_redis_went_asks_again_and_nobody_else(redis_url):
    async def story():
        async with listening(redis_url, patient=True) as (doors, redis):
            waiting = await ordered(doors, "told", "stored", "lost")
            await redis.publish(*stored("told"))
            await waiting["told"]
            await redis.set(*stored("stored"))  # it was published while nobody could hear it

            await redis.client_kill_filter(_type="pubsub")
            await waiting["stored"]
            assert await asyncio.to_thread(doors._celery.four.wait, PATIENCE_SECONDS)

            assert doors.asked_again == 1
            assert doors._celery.receipt_ids == ["told", "stored", "lost", "lost"]
            await redis.publish(*stored("lost"))
            assert await waiting["lost"] == {"receipt_id": "lost"}

    asyncio.run(story())


def test_a_patient_shop_comes_again_until_the_broker_takes_its_document(redis_url):
    async def story():
        async with listening(redis_url, patient=True) as (doors, _):
            doors._celery.tries_away = 2
            await doors.send(Door.CELERY, {"receipt_id": "r"})
            assert doors.put_off == 2
            assert doors._celery.receipt_ids == ["r"]

    asyncio.run(story())


def test_where_no_server_is_lost_a_door_that_is_away_is_no_part_of_the_story(redis_url):
    async def story():
        async with listening(redis_url, patient=False) as (doors, _):
            doors._celery.tries_away = 1
            with pytest.raises(Turned):
                await doors.send(Door.CELERY, {"receipt_id": "r"})

    asyncio.run(story())
