"""The shop's server: its orders, STEP 1 of the guide, and the outcome as it comes. `pay` is the part to copy."""

import asyncio
import re
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any

from aiohttp import web

from sandbox.shop import callbacks, pages
from sandbox.shop.orders import Order, Orders, ReceiptTaken
from sandbox.shop.payconfirm_http import WAIT_SECONDS, Away, Payconfirm, Refused
from sandbox.shop.shelf import GOODS
from sandbox.shop.window import WAYS, Window, WindowAway
from sandbox.shop.wire import SESSION_COOKIE, as_event, as_json, browser_of, problem, read_body

RECEIPT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: A name, in any language: no control characters, no line breaks, nothing that turns text round.
BUYER = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]{1,60}")
#: A callback with the largest metadata fits.
LARGEST_BODY_BYTES = 64 * 1024
#: Between two tries to reach a payconfirm that is away.
AWAY_SECONDS = 1.0
#: What still waits for an outcome when the server ends comes again by itself.
GOODBYE_SECONDS = 0.2
#: A browser that lost its connection comes again after so long.
RETRY_MILLISECONDS = 1000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shop:
    """The shop's routes, over what it remembers and whom it asks."""

    #: Where payconfirm calls back; known once the server listens. Without a secret nobody is asked to.
    callback_url: str | None = None

    def __init__(self, orders: Orders, payconfirm: Payconfirm, window: Window, callback_secret: str | None) -> None:
        self._orders = orders
        self._payconfirm = payconfirm
        self._window = window
        self.callback_secret = callback_secret

    async def items(self, _: web.Request) -> web.Response:
        """Say what is sold, at which price, and how much is left (null where that isn't known)."""
        left = await self._payconfirm.left(GOODS)
        return as_json([asdict(goods) | {"left": left.get(goods.sku)} for goods in GOODS.values()])

    async def place(self, request: web.Request) -> web.Response:
        """Make an order. The browser says what, never at which price; whether any is left, paying it says."""
        body = await read_body(request)
        goods, buyer = GOODS.get(str(body.get("sku"))), str(body.get("name", "")).strip()
        if goods is None:
            raise problem(HTTPStatus.UNPROCESSABLE_ENTITY, "sku: there is no such item")
        if not BUYER.fullmatch(buyer):
            raise problem(HTTPStatus.UNPROCESSABLE_ENTITY, "name: 1 to 60 characters, without control characters")
        order_id = await asyncio.to_thread(self._orders.place, goods, buyer=buyer, browser=browser_of(request))
        return as_json({"order_id": order_id}, HTTPStatus.CREATED)

    async def pay(self, request: web.Request) -> web.Response:
        """STEP 1: take the receipt_id that the payment window gave the browser, and have the payment confirmed.

        Where the guide's server verifies and submits, inside one transaction, this one enqueues. The amount is the
        order's own: whether the receipt says the same is looked up by payconfirm, before any money moves.
        """
        order = await self._own_order(request)
        receipt_id = str((await read_body(request)).get("receipt_id"))
        if not RECEIPT_ID.fullmatch(receipt_id):
            raise problem(HTTPStatus.UNPROCESSABLE_ENTITY, "receipt_id: 1 to 64 of A-Z a-z 0-9 _ -")
        try:
            await asyncio.to_thread(self._orders.take_receipt, order.order_id, receipt_id)
            await self._payconfirm.enqueue(order.paid_with(receipt_id, self.callback_url))
        except ReceiptTaken:
            raise problem(
                HTTPStatus.CONFLICT, "this order is paid with another receipt, or this receipt pays another order"
            ) from None
        except Refused as refused:
            await asyncio.to_thread(self._orders.forget_receipt, order.order_id, receipt_id)
            raise problem(HTTPStatus.CONFLICT, f"this receipt isn't taken: {refused}") from None
        except Away:
            pass  # the receipt is kept: whoever waits for the outcome has it sent again
        return as_json({}, HTTPStatus.ACCEPTED)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell the outcome as it comes, as server-sent events, until it is final or there is nothing to wait for.

        An order that isn't this browser's is an event, too: a browser hides from its page why a stream was refused.
        """
        order = await self._find(request)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await stream.prepare(request)
        with suppress(ConnectionResetError):  # the browser went; it comes again
            await stream.write(f"retry: {RETRY_MILLISECONDS}\n\n".encode())
            told: dict[str, Any] | None = None
            async for news in self._follow(order) if order else _nothing():
                await stream.write(b": still here\n\n" if news == told else as_event(news))
                told = news
        return stream

    async def called_back(self, request: web.Request) -> web.Response:
        """Keep what payconfirm says has become of a payment. Whoever repeats it changes nothing."""
        if not self.callback_secret:
            raise problem(HTTPStatus.NOT_FOUND, "this shop asks for no callbacks")
        try:
            result = callbacks.final_result(await request.read(), request.headers, self.callback_secret)
        except callbacks.CallbackRefused as refused:
            raise problem(HTTPStatus.UNAUTHORIZED, str(refused)) from refused
        if result:
            await asyncio.to_thread(self._orders.record, result)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def authorise(self, request: web.Request) -> web.Response:
        """Sandbox only: what Bootpay's payment window does between itself and Bootpay."""
        order = await self._own_order(request)
        way = str((await read_body(request)).get("way"))
        if way not in WAYS:
            raise problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"way: one of {', '.join(WAYS)}")
        try:
            return as_json({"receipt_id": await self._window.authorise(order, way)}, HTTPStatus.CREATED)
        except WindowAway as away:
            raise problem(HTTPStatus.BAD_GATEWAY, str(away)) from away

    async def _follow(self, order: Order) -> AsyncIterator[dict[str, Any]]:
        """Give what the buyer may know of the payment, again and again, until it is final or nobody pays."""
        wait_seconds = 0
        while receipt_id := order.receipt_id:
            result = order.outcome
            try:
                if (now := await self._payconfirm.result(receipt_id, wait_seconds=wait_seconds)) is None:
                    await self._payconfirm.enqueue(order.paid_with(receipt_id, self.callback_url))
                result, wait_seconds = now or result, WAIT_SECONDS
            except Refused:
                await asyncio.to_thread(self._orders.forget_receipt, order.order_id, receipt_id)
                order = replace(order, receipt_id=None)
                continue
            except Away:
                await asyncio.sleep(AWAY_SECONDS)
                result = await asyncio.to_thread(self._orders.outcome, order.order_id)  # a callback may have come
            if result and result["final"]:
                await asyncio.to_thread(self._orders.record, result)
            yield _shown(order, result)
            if result and result["final"]:
                return
        yield _shown(order, None)

    async def _find(self, request: web.Request) -> Order | None:
        return await asyncio.to_thread(self._orders.find, request.match_info["order_id"], browser_of(request))

    async def _own_order(self, request: web.Request) -> Order:
        if order := await self._find(request):
            return order
        raise problem(HTTPStatus.NOT_FOUND, "this browser has no such order")


def _shown(order: Order, result: dict[str, Any] | None) -> dict[str, Any]:
    """Say what the buyer may know."""
    state = "received" if order.receipt_id else "placed"
    known = result or {"state": state, "final": False, "reason": None, "message": ""}
    told = {name: known[name] for name in ("state", "final", "reason", "message")}
    return told | {name: getattr(order, name) for name in ("order_id", "buyer", "sku", "amount", "receipt_id")}


async def _nothing() -> AsyncIterator[dict[str, Any]]:
    yield {"state": "missing", "final": True}


@web.middleware
async def _nowhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give who follows a wrong address a page that leads back, which says so itself."""
    if request.method == "GET" and isinstance(request.match_info.http_exception, web.HTTPNotFound):
        return pages.page(request, HTTPStatus.NOT_FOUND)
    return await handler(request)


async def _page(request: web.Request) -> web.StreamResponse:
    page = pages.page(request)
    if not request.cookies.get(SESSION_COOKIE):
        page.set_cookie(SESSION_COOKIE, secrets.token_urlsafe(24), httponly=True, samesite="Lax")
    return page


async def _file(request: web.Request) -> web.StreamResponse:
    return pages.file(request)


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(pages.HEADERS)


def build_app(shop: Shop) -> web.Application:
    """Build the application: the page at two addresses, its files, and what it asks for."""
    app = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[_nowhere])
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/orders/{order_id}", _page),
            web.get("/static/{name}", _file),
            web.get("/items", shop.items),
            web.post("/orders", shop.place),
            web.post("/orders/{order_id}/pay", shop.pay),
            web.get("/orders/{order_id}/events", shop.events),
            web.post(callbacks.PATH, shop.called_back),
            web.post("/sandbox/window/{order_id}", shop.authorise),
        ]
    )
    app.on_response_prepare.append(_with_headers)
    return app


async def serve(shop: Shop, port: int) -> None:
    """Listen on loopback, say where, and serve until SIGTERM or SIGINT. OSError when the port can't be had."""
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    runner = web.AppRunner(build_app(shop), access_log=None, shutdown_timeout=GOODBYE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        shop.callback_url = url + callbacks.PATH if shop.callback_secret else None
        print(f"shop: {url}", flush=True)
        await told_to_end.wait()
    finally:
        await runner.cleanup()
