"""What stands for Bootpay's payment window: the buyer's authorisation, opened in the sandbox gateway. Sandbox only.

A shop on the real thing has nothing like this: its page calls `Bootpay.requestPayment`, and the window's `confirm`
event brings the receipt_id.
"""

from typing import Any

import aiohttp

from sandbox.shop.orders import Order
from sandbox.shop.shelf import GOODS

#: What a tampered page has its buyer pay instead, in won.
TAMPERED_PRICE = 100
#: What the tester may choose, and what the gateway does at the approval then.
WAYS: dict[str, str | None] = {"pay": None, "decline": "decline", "tamper": None, "lose": "lost_answer"}
PATIENCE_SECONDS = 10


class WindowAway(Exception):
    """The sandbox gateway can't be reached, or doesn't do what it is asked; no receipt was given to anybody."""


class Window:
    """The sandbox gateway's control routes, as far as a payment window needs them."""

    def __init__(self, gateway_url: str) -> None:
        self._url = gateway_url.rstrip("/")

    async def authorise(self, order: Order, way: str) -> str:
        """Have the buyer authorise the payment, and return the receipt_id. No money moves by that."""
        price = TAMPERED_PRICE if way == "tamper" else order.amount
        opened = {"order_id": order.order_id, "price": price, "name": GOODS[order.sku].ko}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_SECONDS)) as session:
            receipt_id = str((await self._control(session, "/sandbox/receipts", opened))["receipt_id"])
            if fault := WAYS[way]:
                script = {"call": "approve", "fault": fault, "receipt_id": receipt_id}
                await self._control(session, "/sandbox/faults", script)
        return receipt_id

    async def _control(self, session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with session.post(self._url + path, json=body) as answer:
                answer.raise_for_status()
                done: dict[str, Any] = await answer.json()
                return done
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WindowAway(f"the sandbox gateway doesn't do {path}: {error}") from error
