"""What a dead letter's document says of the payment, read out of whatever came."""

import base64
import json

import pytest

from worker.duty.letters import Known, read, why

DOCUMENT = {"receipt_id": "r1", "order_id": "주문-7", "amount": 3000, "extra": True}


def body(*arguments):
    return json.dumps([list(arguments), {}, {}]).encode()


def item(inside, **more):
    """A message as the list on Redis has it."""
    message = {"body": base64.b64encode(inside).decode(), "headers": {}, "content-type": "application/json"}
    return json.dumps(message | {"properties": {"body_encoding": "base64"}} | more).encode()


def known(raw):
    return read({"raw_base64": base64.b64encode(raw).decode()})


@pytest.mark.parametrize(
    "raw",
    [
        item(body(DOCUMENT)),
        body(DOCUMENT),
        json.dumps(DOCUMENT).encode(),
        json.dumps({"args": [DOCUMENT], "kwargs": {}}).encode(),
    ],
)
def test_the_order_and_the_amount_are_read_whichever_broker_had_it(raw):
    assert known(raw) == Known("주문-7", "3,000 KRW")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"amount": "1050.50", "currency": "USD"}, "1,050.50 USD"),
        ({"amount": 10.5}, "10.5 KRW"),
        ({"amount": -3}, "-3 KRW"),
        ({"amount": "3000"}, "'3000' KRW"),
        ({"amount": 7, "currency": "EUR"}, "7 EUR"),
        ({"amount": 7, "currency": ["KRW"]}, "7"),
        ({"amount": [1]}, "a list KRW"),
        ({"amount": 10**4000}, "a number beyond all limits KRW"),
        ({"amount": None}, ""),
        ({}, ""),
    ],
)
def test_an_amount_that_is_none_is_shown_as_it_was_sent(said, shown):
    assert known(body({"order_id": "o1"} | said)) == Known("o1", shown)


@pytest.mark.parametrize(("order_id", "shown"), [(None, ""), (7, "7"), ({"a": 1}, "an object"), ("o" * 9999, "o" * 64)])
def test_an_order_that_is_none_is_shown_in_a_few_words(order_id, shown):
    assert known(body({"order_id": order_id})).order_id == shown


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\x00",
        b"{}",
        b"[[], {}, {}]",
        b"[[[]], {}, {}]",
        b"[[1], {}, {}]",
        b'{"args": 3}',
        b"[" * 100_000,
        b'{"body": 3, "headers": {}}',
        b'{"order_id": ' + b"9" * 5000 + b"}",
        json.dumps(DOCUMENT | {"extra": "x" * 300_000}).encode(),
    ],
)
def test_what_cannot_be_read_is_left_out(raw):
    """It is a dead letter since it can be anything; the list must show the others."""
    assert known(raw) == Known()


def test_a_reason_of_thousands_of_fields_is_told_in_part():
    """
    A page of fifty of them had megabytes.
    """
    assert len(why({"reason": "amount: is missing; " * 3000})) < 1100
    assert why({"reason": "amount: is missing"}) == "amount: is missing"
