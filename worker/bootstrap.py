"""The one place that builds the concrete parts. Nothing connects until a part is first used."""

import random
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from redis import Redis
from sqlalchemy import Engine

from config.settings import Settings, stop
from confirmation.events import uuid7
from confirmation.ports import Terms, World, unlimited
from worker.broker.hints import Hints
from worker.broker.locks import RedisLock
from worker.broker.queues import Sender
from worker.broker.redis import make_redis
from worker.callbacks.delivery import Delivery
from worker.callbacks.hosts import AllowedHosts
from worker.callbacks.sending import Post
from worker.callbacks.signing import Signing
from worker.gateway import Account, BootpayGateway
from worker.gateway.budget import Budget
from worker.gateway.sparing import SparedGateway
from worker.hook import HookUnusable, ShopHook, load
from worker.relay.callbacks import Callbacks
from worker.relay.events import EventPublisher
from worker.relay.given_up import GivenUp
from worker.relay.results import ResultStore
from worker.store.calling import Calling
from worker.store.dead_letters import DeadLetters
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox
from worker.store.reading import Reading
from worker.store.schedule import Schedule

#: The lock is over before the first lease is, so that it never keeps the sweep's message out.
_LOCK_MARGIN_SECONDS = 1.0


@dataclass(frozen=True)
class WorkerParts:
    """What a worker process needs."""

    world: World
    dead_letters: DeadLetters
    hints: Hints


@dataclass(frozen=True)
class RelayParts:
    """What a relay process needs."""

    schedule: Schedule
    outbox: Outbox
    dead_letters: DeadLetters
    sender: Sender
    results: ResultStore
    events: EventPublisher
    hints: Hints
    redis: Redis
    callbacks: Callbacks
    given_up: GivenUp


@dataclass(frozen=True)
class CallbackParts:
    """What a process that sends callbacks needs."""

    delivery: Delivery
    hints: Hints


@dataclass(frozen=True)
class DoorParts:
    """What the HTTP door needs."""

    engine: Engine
    ledger: Ledger
    reading: Reading
    sender: Sender


def build_worker(settings: Settings, *, spared: bool = True, engine: Engine | None = None) -> WorkerParts:
    """Build a worker process; or what a person resolves with, who asks the gateway even while workers spare it."""
    gateway = build_gateway(settings)
    engine, redis = engine or build_engine(settings), make_redis(settings.redis_url.get_secret_value())
    world = World(
        store=Ledger(engine, hook=build_hook(settings)),
        gateway=SparedGateway(gateway, redis) if spared else gateway,
        lock=RedisLock(redis, settings.lookup_lease_seconds - _LOCK_MARGIN_SECONDS),
        terms=_terms(settings),
        tick=time.monotonic,
        jitter=random.random,
        event_id=uuid7,
        budget=Budget(redis, settings.gateway_rate) if settings.gateway_rate else unlimited,
    )
    return WorkerParts(world, DeadLetters(engine), Hints(redis))


def build_relay(settings: Settings) -> RelayParts:
    """Build a relay process."""
    from worker.app import sender_app  # noqa: PLC0415 — the Celery application is built only where one is needed

    engine, redis = build_engine(settings), make_redis(settings.redis_url.get_secret_value())
    app, letters = sender_app(settings), DeadLetters(engine)
    sender = Sender(app)
    return RelayParts(
        schedule=Schedule(engine, timedelta(seconds=settings.confirm_deadline_seconds)),
        outbox=Outbox(engine),
        dead_letters=letters,
        sender=sender,
        results=ResultStore(redis),
        events=EventPublisher(settings.events),
        hints=Hints(redis),
        redis=redis,
        callbacks=Callbacks(Calling(engine), sender, AllowedHosts(settings.callback_allowed_hosts)),
        given_up=GivenUp(app, Ledger(engine), Reading(engine), letters),
    )


def build_callbacks(settings: Settings) -> CallbackParts:
    """Build a process that sends callbacks."""
    hosts = AllowedHosts(settings.callback_allowed_hosts)
    signing = Signing(settings.callback_secret.get_secret_value().split())
    delivery = Delivery(Calling(build_engine(settings)), hosts, signing, Post(hosts))
    return CallbackParts(delivery, build_hints(settings))


def build_hints(settings: Settings) -> Hints:
    """Build what wakes others; the command line needs no more of Redis."""
    return Hints(make_redis(settings.redis_url.get_secret_value()))


def build_door(settings: Settings) -> DoorParts:
    """Build the HTTP door."""
    from worker.app import sender_app  # noqa: PLC0415 — as above

    engine = build_engine(settings)
    return DoorParts(engine, Ledger(engine), Reading(engine), Sender(sender_app(settings)))


def build_gateway(settings: Settings) -> BootpayGateway:
    """Build the gateway client, for workers, the audit and people."""
    account = Account(
        api=settings.bootpay_api,
        url=settings.bootpay_url,
        application_id=settings.bootpay_application_id,
        private_key=settings.bootpay_private_key.get_secret_value(),
        client_key=settings.bootpay_client_key,
        secret_key=settings.bootpay_secret_key.get_secret_value(),
    )
    return BootpayGateway(
        account,
        lookup_seconds=settings.lookup_seconds,
        submit_seconds=settings.submit_seconds,
        connections=settings.worker_concurrency,
    )


def build_hook(settings: Settings) -> ShopHook | None:
    """Find the shop's own hook, if there is one, or end this process with what is wrong."""
    if not settings.order_hook:
        return None
    try:
        return load(settings.order_hook)
    except HookUnusable as why:
        stop(f"the environment can't be used:\n  ORDER_HOOK: {why}")


@cache
def build_engine(settings: Settings) -> Engine:
    """Build the database engine, one for a process; migrations and the command line need no more."""
    url = settings.database_url.get_secret_value()
    return make_engine(url, statement_seconds=settings.statement_seconds, lock_seconds=settings.lock_seconds)


def _terms(settings: Settings) -> Terms:
    return Terms(
        deadline=timedelta(seconds=settings.confirm_deadline_seconds),
        lookup_seconds=settings.lookup_seconds,
        submit_seconds=settings.submit_seconds,
        lookup_lease_seconds=settings.lookup_lease_seconds,
        submit_lease_seconds=settings.submit_lease_seconds,
    )
