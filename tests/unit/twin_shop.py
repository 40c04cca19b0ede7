"""The pipeline's shop: the twins with one receipt in them, and workers that die or stand still in a call."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confirmation.answers import Silence
from confirmation.confirmation import Job
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from sandbox.twins import TwinReceipt, Twins

ORDER = Order("r1", "o1", Money(3000, "KRW"), {"tee": 2})
TIMEOUT = Silence("timeout")
BROKEN = Silence("http 502", ended=True)
NOT_ASKED = Silence("the gateway is away", ended=True, asked=False)


class Killed(BaseException):
    """What stands for a worker that is no more."""


class Shop:
    """The twins with one receipt in them, and short words for what is done to it."""

    def __init__(self):
        self.twins = Twins()
        self.world = self.twins.world()
        self.store, self.gateway, self.clock = self.twins.store, self.twins.gateway, self.twins.clock
        self.store.stock.put("tee", 5)
        self.receipt = self.gateway.receipts["r1"] = TwinReceipt("o1", Money(3000, "KRW"))

    def deliver(self, order=ORDER):
        return confirm(Job(order.receipt_id, order), self.world)

    def sweep(self, seconds=0.0):
        """Run what is due after so many seconds."""
        self.clock.advance(seconds)
        for job in self.store.sweep():
            confirm(job, self.world)
        return self.row

    def settle(self, hours=30):
        """Let the sweep run for so long."""
        end = self.clock.now() + timedelta(hours=hours)
        while (due_at := self.store.next_due()) and due_at < end:
            self.sweep(max((due_at - self.clock.now()).total_seconds(), 0))
        self.clock.advance((end - self.clock.now()).total_seconds())
        return self.row

    @property
    def row(self):
        return self.store.rows["r1"].confirmation

    @property
    def calls(self):
        return [name for name, _ in self.gateway.calls]

    @property
    def told(self):
        return [event.type.removeprefix("payconfirm.") for event in self.store.outbox.get("r1", [])]

    @property
    def stock(self):
        count = self.store.stock.counts["tee"]
        return count.available, count.held, count.sold


class DyingGateway:
    """The gateway, at whose named call the worker dies: before it is made, or before its answer is heard."""

    def __init__(self, gateway, call, *, made):
        self._gateway, self._call, self._made = gateway, call, made

    def __getattr__(self, name):
        call = getattr(self._gateway, name)
        if name != self._call:
            return call

        def die(*arguments, **named):
            if self._made:
                call(*arguments, **named)
            raise Killed

        return die


def mid_call(shop, call, *, made=False):
    """Deliver, and have the worker die at this call."""
    world = replace(shop.world, gateway=DyingGateway(shop.gateway, call, made=made))
    with pytest.raises(Killed):
        confirm(Job("r1", ORDER), world)


def voiding(shop):
    """A paid receipt that can't be delivered."""
    shop.receipt.pay()
    shop.store.stock.put("tee", 1)
