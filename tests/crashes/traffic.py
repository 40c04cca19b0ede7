"""Traffic through both doors of a whole house, and what came of it."""

import os
import signal
import threading
import time
from contextlib import closing, contextmanager

import psycopg2
import redis
import requests

import payconfirm
from payconfirm import BrokerUnavailable
from tests.workers import QUEUE, TAKEN

#: A POST waits for nothing that is away.
POST_SECONDS = 5


class flowing:  # noqa: N801 — reads as a sentence
    """While it lasts, documents are sent by Celery, each until the broker has it; at the end all of them are.

    A test that fails meanwhile gives up.
    """

    def __init__(self, house, documents, per_second):
        self._house, self._documents, self._pause = house, documents, 1 / per_second
        self._at_work, self._accepted, self._failed = threading.Event(), set(), False
        self._sending = threading.Thread(target=self._send_all)

    def __enter__(self):
        self._sending.start()
        return self._at_work, self._accepted

    def __exit__(self, error, *_):
        self._failed = error is not None
        self._sending.join()

    def _send_all(self):
        with payconfirm.Client.from_url(self._house.addresses.redis_url) as client:
            for number, document in enumerate(self._documents):
                self._send(client, document)
                if number == len(self._documents) // 3:
                    self._at_work.set()
                time.sleep(self._pause)

    def _send(self, client, document):
        while not self._failed:
            try:
                client.enqueue(document)
            except BrokerUnavailable:
                time.sleep(self._pause)
                continue
            self._accepted.add(document["receipt_id"])
            return


def open_receipts(house, count):
    """Open receipts at the gateway; return their order documents."""
    wanted = [{"order_id": f"order {os.urandom(8).hex()}", "price": 3000} for _ in range(count)]
    opened = house.control("POST", "/sandbox/receipts", wanted)["receipt_ids"]
    return [
        {"receipt_id": receipt_id, "order_id": receipt["order_id"], "amount": 3000}
        for receipt_id, receipt in zip(opened, wanted, strict=True)
    ]


def send(house, documents):
    """Send these by Celery, now."""
    with payconfirm.Client.from_url(house.addresses.redis_url) as client:
        for document in documents:
            client.enqueue(document)


def post(house, document):
    """Hand a document in by HTTP; return the status."""
    url = f"{house.web_url}/v1/confirmations"
    return requests.post(url, json=document, headers=_key(house), timeout=POST_SECONDS).status_code


def poll(house, document, wait):
    """Wait by HTTP for a result, so many seconds; return what is known then."""
    url = f"{house.web_url}/v1/confirmations/{document['receipt_id']}?wait={wait}"
    answer = requests.get(url, headers=_key(house), timeout=wait + POST_SECONDS)
    answer.raise_for_status()
    return answer.json()


def states(house, documents):
    """How those of these that have a row stand."""
    named = [document["receipt_id"] for document in documents]
    with closing(psycopg2.connect(house.addresses.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT receipt_id, state FROM payconfirm.confirmations WHERE receipt_id = ANY(%s)", [named])
        return dict(cursor.fetchall())


def settled(house, documents):
    """Whether all of these are confirmed."""
    return [*states(house, documents).values()] == ["confirmed"] * len(documents)


def messages(house):
    """How many wait in Redis, or are taken."""
    with redis.Redis.from_url(house.addresses.redis_url) as client:
        lists = [key for key in client.scan_iter(TAKEN) if client.type(key) == b"list"]
        return sum(client.llen(name) for name in [QUEUE, "payconfirm.again", *lists])


def told(house, documents):
    """Whether those who poll Redis find a result for each."""
    keys = [f"celery-task-meta-payconfirm-{document['receipt_id']}" for document in documents]
    with redis.Redis.from_url(house.addresses.redis_url) as client:
        return client.exists(*keys) == len(keys)


def charges(house, documents):
    """How often these were charged."""
    ledger = house.control("GET", "/sandbox/ledger")["receipts"]
    return {ledger[document["receipt_id"]]["charges"] for document in documents}


def programs(house, *names):
    """The house's programs whose names begin with these."""
    return [program for program in house._programs if program.name.startswith(names)]


@contextmanager
def stopped(programs):
    """Stop these programs where they stand, for as long as it lasts."""
    for program in programs:
        os.kill(program._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for program in programs:
            os.kill(program._process.pid, signal.SIGCONT)


def _key(house):
    return {"Authorization": f"Bearer {house.keys.api}"}
