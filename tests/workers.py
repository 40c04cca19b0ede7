"""A stage for tests of real workers: a gateway, a database, a Redis, and workers that can be stopped or killed."""

import base64
import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import redis
import requests
from sqlalchemy import text

from sandbox.demo.programs import Program, programs_first, read_procfile, stop
from sandbox.servers import Servers
from worker.store.dead_letters import DeadLetters
from worker.store.engine import make_engine

QUEUE = "payconfirm"
TAKEN = "payconfirm:taken:*"
#: A machine that is busy with everything else.
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.02
KEYS = {"BOOTPAY_CLIENT_KEY": "test-client", "BOOTPAY_SECRET_KEY": "test-secret"}

NUMBERS = itertools.count(1)


class Worker(Program):
    """One worker process."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Return the code that it ends with."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


class Stage:
    """Where workers play; it counts what came of every receipt."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, variables: Mapping[str, str]) -> None:
        self.redis = redis.Redis.from_url(redis_url)
        self.redis_url = redis_url
        self.engine = make_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
        self.letters = DeadLetters(self.engine)
        self._folder = folder
        self._stopping = ExitStack()
        self._numbers = itertools.count(1)
        self.lines = read_procfile()
        self.environment = programs_first(
            {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "REDIS_URL": redis_url, **KEYS, **variables}
        )

    def start_gateway(self, lookup_seconds: float = 0.0, approve_seconds: float = 0.0) -> None:
        latencies = ["--latency-lookup", str(lookup_seconds), "--latency-approve", str(approve_seconds)]
        gateway = self.start("gateway", ["python", "-m", "sandbox", "gateway", "--port", "0", *latencies])
        self._gateway_url = gateway.wait_until(_gateway_url)
        self.environment["BOOTPAY_URL"] = self._gateway_url

    def start(self, name: str, command: list[str]) -> Worker:
        """Start a program that is stopped with the stage."""
        program = Worker(f"{name}-{next(self._numbers)}", command, self.environment, self._folder)
        program.start()
        self._stopping.callback(stop, [program])
        return program

    def start_worker(self) -> Worker:
        """Start the Procfile's worker; it isn't ready yet."""
        return self.start("worker", self.lines["worker"])

    def ready_worker(self) -> Worker:
        """Start the Procfile's worker and wait until it takes messages."""
        worker = self.start_worker()
        wait_until_ready(worker)
        return worker

    def control(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, self._gateway_url + path, json=body, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def open_receipts(self, count: int = 1, **more: object) -> list[dict[str, Any]]:
        """Open receipts at the gateway; return their order documents."""
        wanted = [{"order_id": f"order-{uuid4().hex}", "price": 3000} for _ in range(count)]
        opened = self.control("POST", "/sandbox/receipts", wanted)["receipt_ids"]
        return [
            {"receipt_id": receipt_id, "order_id": receipt["order_id"], "amount": 3000, **more}
            for receipt_id, receipt in zip(opened, wanted, strict=True)
        ]

    def push(self, *items: bytes) -> None:
        """Put items on the queue, the first to be read first."""
        self.redis.lpush(QUEUE, *items)

    def states(self) -> dict[str, str]:
        return {row.receipt_id: row.state for row in self.ask("SELECT receipt_id, state FROM payconfirm.confirmations")}

    def ask(self, statement: str, **values: object) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), values))

    def charges(self) -> dict[str, int]:
        """How often each receipt was charged."""
        receipts = self.control("GET", "/sandbox/ledger")["receipts"]
        return {receipt_id: account["charges"] for receipt_id, account in receipts.items()}

    def kept(self, raw: bytes) -> list[str]:
        """The reasons of the dead letters that have these raw bytes."""
        wanted = base64.b64encode(raw).decode()
        return [letter["reason"] for letter in self.letters.newest() if letter["raw_base64"] == wanted]

    def left_over(self) -> list[bytes]:
        """Every message that waits, was given up, or that a worker has taken and not acknowledged."""
        lists = [QUEUE, "payconfirm.again", "payconfirm.dead", *self.taken()]
        return [item for name in lists for item in self.redis.lrange(name, 0, -1)]

    def taken(self) -> list[bytes]:
        """The lists of messages that workers have taken."""
        return [key for key in self.redis.scan_iter(TAKEN) if self.redis.type(key) == b"list"]

    def confirmed(self, *documents: Mapping[str, Any]) -> bool:
        states = self.states()
        return all(states.get(document["receipt_id"]) == "confirmed" for document in documents)

    def close(self) -> None:
        self._stopping.close()
        self.engine.dispose()
        self.redis.close()


@contextmanager
def stage(
    servers: Servers,
    template_database: str,
    folder: Path,
    redis_url: str | None = None,
    kind: type[Stage] = Stage,
    **variables: str,
) -> Iterator[Any]:
    """Set a stage with a database of its own. It has the servers' first Redis database to itself, or the one given."""
    name = f"stage_{next(NUMBERS)}"
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    database_url = urlsplit(servers.addresses.database_url)._replace(path=f"/{name}").geturl()
    redis_url = redis_url or servers.addresses.redis_url
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    with closing(kind(folder, database_url, redis_url, variables)) as built:
        yield built


def wait_until_ready(worker: Program) -> None:
    worker.wait_until(lambda log: "ready" if " ready." in log else None)


def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for a condition and return what it found."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it didn't happen within {seconds:g} s"
        time.sleep(POLL_SECONDS)
    return found


def body(*arguments: object, **named: object) -> str:
    """A task's body as Celery sends it."""
    return base64.b64encode(json.dumps([arguments, named, {}]).encode()).decode()


def envelope(document: object = None, **changes: object) -> dict[str, Any]:
    """A well-formed message in kombu's envelope, with parts of it replaced, or left out where they are `...`."""
    tag = str(uuid4())
    whole = {
        "body": body(document),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "js", "task": "payconfirm.confirm", "id": tag},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
        },
        **changes,
    }
    return {name: part for name, part in whole.items() if part is not ...}


def item(document: object = None, **changes: object) -> bytes:
    """The same, as it lies in the list."""
    return json.dumps(envelope(document, **changes)).encode()


def _gateway_url(log: str) -> str | None:
    line = next((line for line in log.splitlines(keepends=True) if line.startswith("sandbox gateway: http")), "")
    return line.split()[2] if line.endswith("\n") else None
