"""The example consumers as a stranger runs them: killed, told twice, and every event written down once."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from kombu import Connection, Exchange, Queue

from tests import ledgers
from tests.integration.web_process import shared_door
from tests.workers import until
from worker.relay.events import EventPublisher
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox

CONSUMERS = Path(__file__).parents[2] / "examples" / "consumers"
RABBITMQ = os.environ.get("AMQP_URL")
NPM_SECONDS = 100
COUNT = 20

needs_rabbitmq = pytest.mark.skipif(not RABBITMQ, reason="AMQP_URL names no RabbitMQ")


class Program:
    """A consumer, in a folder and an environment of its own."""

    def __init__(self, command, folder, **environment):
        self._command, self._folder = command, folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **environment}
        self.said = folder / f"said-{uuid4().hex}"
        self._process = None

    def start(self):
        with self.said.open("a") as said:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=said, stderr=subprocess.STDOUT
            )

    def kill(self):
        self._process.kill()
        self._process.wait()

    def end(self):
        """Tell it to end, and give its exit code."""
        self._process.terminate()
        return self._process.wait(timeout=10)

    def close(self):
        if self._process and self._process.poll() is None:
            self.kill()

    def lines(self):
        return self.said.read_text().splitlines()

    def heard(self, count):
        """Wait until it has said that it heard so many events."""

        def enough():
            assert self._process.poll() is None, self.said.read_text()
            return sum(line.startswith("payconfirm.") for line in self.lines()) >= count

        until(enough)


@pytest.fixture
def program(queue_name):
    del queue_name  # deleted after the programs have ended, or one would declare it anew
    with ExitStack() as stack:

        def start(command, folder, **environment):
            made = stack.enter_context(closing(Program(command, folder, **environment)))
            made.start()
            return made

        yield start


@pytest.fixture
def batch(engine):
    """The next so many events, as the relay takes them; ids that nobody else tests with."""
    outbox, ledger, run = Outbox(engine), Ledger(engine), uuid4().hex[:12]
    numbers = iter(range(1000))

    def next_batch(count=COUNT):
        for _ in range(count):
            ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order(f"{run}-{next(numbers)}")))
        events = outbox.take_events(count)
        outbox.mark_published(events)
        return events

    return next_batch


@pytest.fixture
def telling():
    with ExitStack() as stack:

        def to(url):
            publisher = stack.enter_context(closing(EventPublisher(url)))
            return publisher.publish

        yield to


@pytest.fixture
def queue_name():
    name = f"test-consumer-{uuid4().hex}"
    yield name
    if RABBITMQ:
        with Connection(RABBITMQ) as connection, suppress(*connection.channel_errors):
            connection.channel().queue_delete(name)


def bound(url, name):
    """Wait until the consumer has bound its queue; on RabbitMQ it reads from it then, too."""

    def there():
        with Connection(url) as connection:
            channel = connection.channel()
            if url.startswith("redis"):
                return any(queue == name for *_, queue in channel.get_table("payconfirm.events"))
            with suppress(*connection.channel_errors):
                return Queue(name, Exchange(""), channel=channel).queue_declare(passive=True).consumer_count

    until(there)


def second(event):
    """The receipt's next event."""
    document = event.document | {"state": "voided", "sequence": 2}
    return replace(event, id=uuid4(), sequence=2, type="payconfirm.voided", document=document)


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=needs_rabbitmq)])
def environment(request, redis_url, queue_name):
    return {"EVENTS_URL": RABBITMQ if request.param == "rabbitmq" else redis_url, "EVENTS_QUEUE": queue_name}


def test_the_python_consumer_writes_each_event_down_once_though_it_is_killed_and_told_twice(
    program, batch, telling, environment, tmp_path
):
    folder = shutil.copytree(CONSUMERS / "python", tmp_path / "python")
    tell, events = telling(environment["EVENTS_URL"]), batch()
    consumer = program([sys.executable, "consume.py"], folder, **environment)
    bound(*environment.values())

    tell(events)
    consumer.heard(COUNT)
    consumer.kill()
    last = second(events[0])
    tell([last, *events[:5], *(more := batch(5))])  # the first five once more, one of them after its successor
    consumer.start()
    consumer.heard(COUNT + 11)

    with closing(sqlite3.connect(folder / "shop.db")) as shop:
        told = {row[0] for row in shop.execute("SELECT event_id FROM told")}
        payments = dict(shop.execute("SELECT receipt_id, state FROM payments").fetchall())
    assert consumer.lines()[0] == "listening"
    assert told == {str(event.id) for event in [*events, last, *more]}
    assert payments == {event.receipt_id: event.document["state"] for event in [*events, *more, last]}
    assert sum(line.endswith("(known)") for line in consumer.lines()) == 5


def test_the_python_consumer_says_that_it_is_refused_and_ends_as_soon_as_it_is_told(program, environment, tmp_path):
    """A wrong password was a silent program that only kill -9 could end: kombu tries on, and sleeps on."""
    address = urlsplit(environment["EVENTS_URL"])
    refused = address._replace(netloc=f"nobody:of-nobody@{address.hostname}:{address.port or 5672}").geturl()
    folder = shutil.copytree(CONSUMERS / "python", tmp_path / "python")
    consumer = program([sys.executable, "consume.py"], folder, **environment | {"EVENTS_URL": refused})

    until(consumer.lines)

    assert consumer.end() == 0
    assert re.match("not connected: invalid username-password pair|refused: .*ACCESS_REFUSED", consumer.lines()[0])
    assert "of-nobody" not in consumer.said.read_text()


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    if not shutil.which("node"):
        pytest.skip("node isn't here (Debian: nodejs)")
    copied = tmp_path_factory.mktemp("consumer") / "node"
    return shutil.copytree(CONSUMERS / "node", copied, ignore=shutil.ignore_patterns("node_modules"))


@pytest.fixture
def node_packages(node_folder):
    """What `npm ci` brings, or no test where npm or its registry isn't there."""
    if not shutil.which("npm"):
        pytest.skip("npm isn't here (Debian: npm)")
    install = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=node_folder, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"npm ci: {done.stderr[-300:]}")


def written(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@needs_rabbitmq
@pytest.mark.usefixtures("node_packages")
def test_the_node_consumer_on_rabbitmq_writes_each_event_down_once_though_it_is_killed_and_told_twice(
    program, batch, telling, queue_name, node_folder
):
    tell, events, shop = telling(RABBITMQ), batch(), node_folder / "rabbitmq.jsonl"
    environment = {"EVENTS_URL": RABBITMQ, "EVENTS_QUEUE": queue_name, "SHOP_FILE": str(shop)}
    consumer = program(["node", "rabbitmq.js"], node_folder, **environment)
    until(lambda: "listening" in consumer.lines())

    tell(events)
    consumer.heard(COUNT)
    consumer.kill()
    shop.write_bytes(shop.read_bytes() + b'{"id": "half a li')
    last = second(events[0])
    tell([last, *events[:5]])
    consumer.start()
    consumer.heard(COUNT + 6)

    assert Counter(line["id"] for line in written(shop)) == Counter(str(event.id) for event in [*events, last])


@pytest.mark.usefixtures("node_packages")
@pytest.mark.parametrize("url", [None, "redis://127.0.0.1:1/0"], ids=["no address", "Redis"])
def test_the_node_consumer_on_rabbitmq_ends_with_a_usage_line_where_its_address_is_no_rabbitmqs(node_folder, url):
    """
    It would try for ever what can never be.
    """
    environment = {"PATH": os.environ["PATH"], **({"EVENTS_URL": url} if url else {})}
    ended = subprocess.run(
        ["node", "rabbitmq.js"],
        cwd=node_folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: EVENTS_URL=amqp://")
    assert len(ended.stderr.splitlines()) == 1


def test_the_node_consumer_of_the_feed_goes_on_where_it_was_when_it_was_killed(
    servers, template_database, tmp_path, program, node_folder
):
    """
    The cursor is written with the event that it came with.
    """
    shop = node_folder / "feed.jsonl"
    with ExitStack() as stack:
        web = stack.enter_context(shared_door(servers, template_database, tmp_path))
        engine = make_engine(web.addresses["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"))
        stack.callback(engine.dispose)
        ledger, outbox = Ledger(engine), Outbox(engine)

        def end(*receipt_ids):
            for receipt_id in receipt_ids:
                ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order(receipt_id)))
            outbox.place(100)

        end("r1", "r2", "r3")
        environment = {"PAYCONFIRM_URL": web.url, "PAYCONFIRM_KEY": "producer-one", "SHOP_FILE": str(shop)}
        consumer = program(["node", "feed.js"], node_folder, **environment)
        consumer.heard(3)
        end("r4")
        consumer.heard(4)
        consumer.kill()
        end("r5")
        consumer.start()
        consumer.heard(5)
        consumer.close()

    assert [line["receipt_id"] for line in written(shop)] == ["r1", "r2", "r3", "r4", "r5"]
    assert not [line for line in consumer.lines() if line.endswith("(known)")]
