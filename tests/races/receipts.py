"""Receipts brought to where a race begins, and the line before their rows."""

from datetime import timedelta

from confirmation.confirmation import Job
from confirmation.pipeline import confirm
from tests.races.meeting import Between

ROW = "SELECT FROM payconfirm.confirmations WHERE receipt_id = :id FOR UPDATE"

#: The guard that remembers a look that was asked for while a worker was on the row.
ASKED = {"WHEN asked AND ": "WHEN false AND "}

#: A status that nobody documented.
ODD = 77


def at_its_last_look(course):
    """A receipt that was rejected as too late, and has had all its late looks but the one that comes now."""
    order = course.open()
    confirm(Job(order.receipt_id, order), course.worker(deadline=timedelta()))
    assert course.state(order) == ("rejected", "deadline_exceeded")
    course.run(
        "UPDATE payconfirm.confirmations SET state_since = state_since - interval '2 hours' WHERE receipt_id = :id",
        id=order.receipt_id,
    )
    course.make_due(order)
    return order


def in_review(course, *, odd_looks=1):
    """A receipt that was paid, its items held; people are asked, since the gateway's first words were odd."""
    course.stock.set("tee", 10, "test")
    order = course.open(items={"tee": 1})

    def odd():
        course.sandbox.script("receipt", "status", receipt_id=order.receipt_id, status=ODD, times=odd_looks)

    course.sandbox.script("approve", "lost_answer", receipt_id=order.receipt_id)
    course.delivered(order, course.worker(Between(course.gateway, submit=odd)))()
    assert course.state(order) == ("review", "gateway_unclear")
    course.make_due(order)
    return order
