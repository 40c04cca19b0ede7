"""A producer is killed before and after its commit: the confirmation exists exactly when the order does.

The producer is a program that isn't ours, with a role that may call one function.
"""

import json
import signal
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.producers import producer
from tests.workers import stage, until

pytestmark = pytest.mark.timeout(300)

SHOP = Path(__file__).with_name("sql_shop.py")
#: How many are killed after their commit; one of them may meet a busy machine.
COMMITTED = 5
UNDER_WAY_SECONDS = 1.0


class Shop:
    """One run of the producer."""

    def __init__(self, url, *arguments):
        command = [sys.executable, "-I", str(SHOP), url, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, *lines):
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def said(self):
        return self.process.stdout.readline().split()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Street:
    """The shop's database with the house that stands in it, and everything running."""

    def __init__(self, played, url, stack):
        self.stage = played
        self.url = url
        self._role = urlsplit(url).username
        self._stack = stack

    def open_shop(self, *arguments):
        shop = Shop(self.url, *arguments)
        self._stack.callback(shop.close)
        return shop

    def orders(self):
        return {row.order_id for row in self.stage.ask(f"SELECT order_id FROM {self._role}.orders")}

    def confirmations(self):
        return {row.order_id for row in self.stage.ask("SELECT order_id FROM payconfirm.confirmations")}

    def has_let_go(self):
        """The server has noticed that the shop is gone, and ended what it had begun."""
        left = "SELECT FROM pg_stat_activity WHERE usename = :role"
        return until(lambda: not self.stage.ask(left, role=self._role))


@contextmanager
def opened(servers, template_database, folder):
    with stage(servers, template_database, folder) as played, ExitStack() as stack:
        url = stack.enter_context(producer(played.environment["DATABASE_URL"]))
        yield Street(played, url, stack)


@pytest.fixture
def street(servers, template_database, tmp_path):
    with opened(servers, template_database, tmp_path) as street:
        yield street


def working(street):
    street.stage.start_gateway()
    street.stage.ready_worker()
    relay = street.stage.start("relay", street.stage.lines["relay"])
    relay.wait_until(lambda log: "started" if "relay.started" in log else None)
    return street


def test_a_producer_that_dies_before_its_commit_leaves_neither_order_nor_confirmation(street):
    shop = street.open_shop()
    shop.send(json.dumps({"receipt_id": "r1", "order_id": "o1", "amount": 3000}))
    assert shop.said() == ["enqueued"]

    shop.kill()

    assert street.has_let_go()
    assert (street.orders(), street.confirmations()) == (set(), set())


def test_one_that_dies_after_it_leaves_both_under_way_within_a_second(street):
    waited = []
    for document in working(street).stage.open_receipts(COMMITTED):
        shop = street.open_shop()
        shop.send(json.dumps(document), "go on")
        assert shop.said() == ["enqueued"]
        word, at = shop.said()
        shop.kill()

        assert word == "committed"
        until(lambda paid=document: street.stage.confirmed(paid))
        begun = street.stage.ask(
            "SELECT extract(epoch FROM min(at)) AS at FROM payconfirm.steps WHERE receipt_id = :receipt_id", **document
        )
        waited.append(float(begun[0].at) - float(at))

    assert street.orders() == street.confirmations()
    assert len(street.orders()) == COMMITTED
    assert statistics.median(waited) < UNDER_WAY_SECONDS, waited


@pytest.mark.parametrize("committed", [0, 1, 7, 20])
def test_one_that_dies_at_any_moment_leaves_a_confirmation_for_each_order_and_no_other(street, committed):
    """It is somewhere between an order and the next one's commit when it is killed."""
    shop = street.open_shop("onwards")
    documents = [{"receipt_id": f"r{number}", "order_id": f"o{number}", "amount": 3000} for number in range(200)]
    shop.send(*map(json.dumps, documents))
    for _ in range(committed):
        assert shop.said()[0] == "committed"

    shop.kill()

    assert street.has_let_go()
    assert street.orders() == street.confirmations()
    assert len(street.orders()) >= committed
