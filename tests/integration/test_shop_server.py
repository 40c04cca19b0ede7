"""The shop's server while payconfirm is away, refuses, or repeats itself: a payconfirm that does as it is told."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from sandbox.shop import server
from sandbox.shop.orders import Orders
from sandbox.shop.payconfirm_http import Away, Payconfirm, Refused
from sandbox.shop.server import Shop, build_app

PATIENCE_SECONDS = 20
RECEIPT = "5afd6be8e13f33616f2876ac"


class Told:
    """payconfirm, which answers the next requests with what stands in these lists, and then that it is away."""

    def __init__(self, *, enqueue=(), result=()):
        self.answers = {"enqueue": list(enqueue), "result": list(result)}
        self.documents = []
        self.asked = asyncio.Event()

    async def enqueue(self, document):
        self.documents.append(document)
        self._next("enqueue")

    async def result(self, receipt_id, *, wait_seconds):
        assert (receipt_id, wait_seconds >= 0) == (RECEIPT, True)
        self.asked.set()
        return self._next("result")

    def _next(self, call):
        answer = self.answers[call].pop(0) if self.answers[call] else Away()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def orders(database_url, monkeypatch):
    monkeypatch.setattr(server, "AWAY_SECONDS", 0.01)
    orders = Orders(database_url)
    orders.migrate()
    yield orders
    orders.close()


@asynccontextmanager
async def buying(orders, payconfirm):
    """A browser that has an order, and its number."""
    app = build_app(Shop(orders, payconfirm, window=None, callback_secret=None))
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as browser:
        await browser.get("/")
        placed = await browser.post("/orders", json={"sku": "mug-blue", "name": "Kim"})
        yield browser, (await placed.json())["order_id"]


async def pay(browser, order_id):
    return (await browser.post(f"/orders/{order_id}/pay", json={"receipt_id": RECEIPT})).status


async def told(browser, order_id):
    """The states that the server tells about the order, until it has no more to tell."""
    stream = await browser.get(f"/orders/{order_id}/events")
    lines = (await stream.text()).splitlines()
    return [json.loads(line.removeprefix("data:"))["state"] for line in lines if line.startswith("data:")]


def result_of(order_id, state, sequence=1):
    return {
        "order_id": order_id, "receipt_id": RECEIPT, "state": state, "final": True, "reason": None, "message": "",
        "sequence": sequence,
    }  # fmt: skip


def status(orders, order_id):
    with orders._engine.connect() as connection:
        query = "SELECT status FROM shop.orders WHERE order_id = %(order_id)s"
        return connection.exec_driver_sql(query, {"order_id": order_id}).scalar_one()


def test_a_receipt_that_could_not_be_enqueued_is_enqueued_by_who_waits_for_it(orders):
    async def story():
        payconfirm = Told(enqueue=[Away(), None], result=[Away(), None])
        async with buying(orders, payconfirm) as (browser, order_id):
            payconfirm.answers["result"].append(result_of(order_id, "confirmed"))
            assert await pay(browser, order_id) == 202
            assert await told(browser, order_id) == ["received", "confirmed"]
            assert status(orders, order_id) == "paid"
            first, second = payconfirm.documents
            assert first == second == {
                "receipt_id": RECEIPT, "order_id": order_id, "amount": 12_000,
                "items": [{"sku": "mug-blue", "quantity": 1}],
            }  # fmt: skip

    asyncio.run(story())


@pytest.mark.parametrize("first", [[], [Away()]], ids=["at once", "when it is sent again"])
def test_a_receipt_that_is_refused_does_not_hold_the_order(orders, first):
    async def story():
        payconfirm = Told(enqueue=[*first, Refused("a different document"), None], result=[None])
        async with buying(orders, payconfirm) as (browser, order_id):
            assert await pay(browser, order_id) == (202 if first else 409)
            assert await told(browser, order_id) == ["placed"]
            assert await pay(browser, order_id) == 202

    asyncio.run(story())


def test_an_outcome_that_was_called_back_is_told_while_payconfirm_is_away(orders):
    async def story():
        payconfirm = Told(enqueue=[None])
        async with buying(orders, payconfirm) as (browser, order_id):
            await pay(browser, order_id)
            waiting = asyncio.create_task(told(browser, order_id))
            await payconfirm.asked.wait()
            await asyncio.to_thread(orders.record, result_of(order_id, "confirmed"))
            assert (await asyncio.wait_for(waiting, PATIENCE_SECONDS))[-1] == "confirmed"

    asyncio.run(story())


def test_an_older_result_that_comes_late_does_not_replace_a_newer_one(orders):
    async def story():
        async with buying(orders, Told(enqueue=[None])) as (browser, order_id):
            await pay(browser, order_id)
            for state, sequence in (("voided", 2), ("confirmed", 1)):
                orders.record(result_of(order_id, state, sequence))
            assert status(orders, order_id) == "refunded"
            assert await told(browser, order_id) == ["voided"]

    asyncio.run(story())


def test_a_result_that_was_taken_back_is_told_again(orders):
    """A payment that was rejected, and then found paid: its money goes back."""

    async def story():
        payconfirm = Told(enqueue=[None])
        async with buying(orders, payconfirm) as (browser, order_id):
            await pay(browser, order_id)
            orders.record(result_of(order_id, "rejected"))
            voiding = result_of(order_id, "voiding", 1) | {"final": False}
            payconfirm.answers["result"] += [voiding, result_of(order_id, "voided", 2)]
            assert await told(browser, order_id) == ["voiding", "voided"]
            assert status(orders, order_id) == "refunded"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("code", "ends"),
    [(200, None), (202, None), (409, Refused), (422, Refused), (401, Away), (413, Away), (429, Away), (503, Away)],
)
def test_only_a_word_about_the_document_itself_is_taken_for_a_refusal(code, ends):
    """An order whose receipt is on its way must not let go of it because a key was changed meanwhile."""

    async def story():
        async def answer(_):
            return web.json_response({"title": "as told"}, status=code)

        app = web.Application()
        app.router.add_post("/v1/confirmations", answer)
        async with TestServer(app) as door:
            payconfirm = Payconfirm(str(door.make_url("")), "key", None)
            try:
                await payconfirm.enqueue({})
            except (Away, Refused) as raised:
                return type(raised)
            finally:
                await payconfirm.close()

    assert asyncio.run(story()) is ends
