"""Traffic by both doors of a house for as long as something happens to it, and the books that are read afterwards."""

import base64
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager

import redis
import requests

import payconfirm
from tests.workers import PATIENCE_SECONDS, QUEUE, TAKEN, until
from worker.store.engine import make_engine

#: By each door.
PER_SECOND = 20
#: A door that can't take a document now says so, and the producer comes again.
COME_AGAIN_SECONDS = 0.1
#: A POST is answered soon, whatever is away.
POST_SECONDS = 10
#: It logs an error of its own for a connection that it couldn't tidy up, since the server was gone.
POOL = "sqlalchemy.pool.impl.QueuePool"


class Traffic:
    """As a context manager: documents come by both doors for as long as it lasts, each until it is accepted."""

    def __init__(self, house, open_more):
        self._house = house
        self._senders = [
            threading.Thread(target=self._keep_on, args=(send, endless(open_more)))
            for send in (self._by_celery, self._by_http)
        ]
        self._ends = False
        #: What the broker, and what the HTTP door has accepted.
        self.sent, self.posted = [], []
        #: How often the HTTP door answered with what status and type.
        self.answers = Counter()

    def __enter__(self):
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        for sender in self._senders:
            sender.join()

    @property
    def documents(self):
        """All that was accepted."""
        return [*self.sent, *self.posted]

    @property
    def refusals(self):
        """How often the HTTP door had no database."""
        return self.answers[503, "application/problem+json"]

    def go_on(self, more=20):
        """Let so many more come by each door."""
        sent, posted = len(self.sent) + more, len(self.posted) + more
        until(lambda: len(self.sent) >= sent and len(self.posted) >= posted)

    def _keep_on(self, send, documents):
        with send() as sending:
            while not self._ends:
                sending(next(documents))
                time.sleep(1 / PER_SECOND)

    @contextmanager
    def _by_celery(self):
        with payconfirm.Client.from_url(self._house.addresses.redis_url) as client:

            def enqueue(document):
                client.enqueue(document)
                self.sent.append(document)

            yield enqueue

    @contextmanager
    def _by_http(self):
        with requests.Session() as door:

            def keep_posting(document):
                while not self._ends:
                    answer = post(self._house, document, door)
                    self.answers[answer.status_code, answer.headers["content-type"]] += 1
                    if answer.ok:
                        return self.posted.append(document)
                    time.sleep(COME_AGAIN_SECONDS)
                return None

            yield keep_posting


class Books:
    """What stands in a house's database and in its Redis. Asked directly, whatever way the house has to them."""

    def __init__(self, house, database_url):
        self._house = house
        url = database_url.replace("postgresql://", "postgresql+psycopg2://")
        self._engine = make_engine(url, statement_seconds=PATIENCE_SECONDS, lock_seconds=PATIENCE_SECONDS)

    def ask(self, statement, *values):
        with self._engine.connect() as connection:
            answer = connection.exec_driver_sql(statement, values)
            return [tuple(row) for row in answer] if answer.returns_rows else []

    def close(self):
        self._engine.dispose()

    def states(self):
        return dict(self.ask("SELECT receipt_id, state FROM payconfirm.confirmations"))

    def row(self, receipt_id):
        """How it stands, how often it was claimed, how many events it has."""
        (row,) = self.ask(
            "SELECT state, attempts, sequence FROM payconfirm.confirmations WHERE receipt_id = %s", receipt_id
        )
        return row

    def decisions(self, receipt_id):
        """What was decided of it, waits left out."""
        found = self.ask(
            "SELECT decided FROM payconfirm.steps WHERE receipt_id = %s AND decided <> 'wait' AND NOT stale", receipt_id
        )
        return [decided for (decided,) in found]

    def confirmed(self, documents):
        known = self.states()
        return all(known.get(document["receipt_id"]) == "confirmed" for document in documents)

    def event_ids(self):
        return {event_id for (event_id,) in self.ask("SELECT id::text FROM payconfirm.outbox")}

    def told(self):
        """Whether every event is published and every result stored."""
        return not self.ask("SELECT FROM payconfirm.outbox WHERE published_at IS NULL OR result_due LIMIT 1")

    def seconds_until_the_last_moved(self):
        """From the server's last start until the last receipt that was open then was worked on again."""
        moved = """
            SELECT extract(epoch FROM max(first) - pg_postmaster_start_time())::float
            FROM (SELECT min(at) AS first FROM payconfirm.steps JOIN payconfirm.confirmations USING (receipt_id)
                  WHERE at > pg_postmaster_start_time() AND created_at < pg_postmaster_start_time()
                  GROUP BY receipt_id) AS again
        """
        ((seconds,),) = self.ask(moved)
        return seconds

    def messages(self, *, only_taken=False):
        """The receipts of the messages that wait, or that a worker has taken and not acknowledged."""
        with redis.Redis.from_url(self._house.addresses.redis_url) as client:
            lists = [key for key in client.scan_iter(TAKEN) if client.type(key) == b"list"]
            queues = [] if only_taken else [QUEUE, "payconfirm.again"]
            return {receipt_of(item) for name in (*queues, *lists) for item in client.lrange(name, 0, -1)}

    def accounts(self):
        return self._house.control("GET", "/sandbox/ledger")["receipts"]


def endless(open_more):
    """Documents without end, opened a few at a time."""
    while True:
        yield from open_more()


def receipt_of(item):
    """The receipt that a message is about: the document's, or the one that the sweep names."""
    (about, *_), _, _ = json.loads(base64.b64decode(json.loads(item)["body"]))
    return about["receipt_id"] if isinstance(about, dict) else about


def post(house, document, door=requests):
    headers = {"Authorization": f"Bearer {house.keys.api}"}
    return door.post(f"{house.web_url}/v1/confirmations", json=document, headers=headers, timeout=POST_SECONDS)


def open_receipts(house, count, order, **more):
    """Open receipts of such orders at the gateway; return their order documents."""
    wanted = [{"order_id": f"{order} {number}", "price": 3000} for number in range(count)]
    opened = house.control("POST", "/sandbox/receipts", wanted)["receipt_ids"]
    return [
        {"receipt_id": receipt_id, "order_id": receipt["order_id"], "amount": 3000, **more}
        for receipt_id, receipt in zip(opened, wanted, strict=True)
    ]


def said(house, name, words):
    """How often the programs of this name have said so, all together."""
    return sum(program.said.count(words) for program in house._programs if program.name.startswith(name))


def unforeseen(house):
    """What the programs have said of errors that nobody foresaw."""
    lines = [json.loads(line) for program in house._programs for line in program.said.splitlines() if line[:1] == "{"]
    errors = [line for line in lines if "exception" in line or line.get("event") == "web.failed"]
    return [error for error in errors if error["logger"] != POOL]
