"""Whatever lies in the list, or comes from a broker, is read as a job or as a reason why it is none."""

import base64
import json
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from kombu.message import Message

from tests.workers import body, envelope, item
from worker.broker.consumer import FROM_OUTSIDE, GuardedConsumer, guard
from worker.broker.envelopes import (
    KEPT_BYTES,
    LARGEST_BYTES,
    LONGEST_ID,
    MOST_LEVELS,
    RAW,
    UNREADABLE,
    CeleryJob,
    Unusable,
    read_id,
    read_job,
    too_large,
)
from worker.broker.envelopes import envelope as made_of
from worker.broker.queues import CONFIRM_TASK, DEAD_LETTER_TASK

DOCUMENT = {"receipt_id": "5afd6be8e13f33616f2876ac", "order_id": "주문-1", "amount": 3000}
HEADERS = {"task": CONFIRM_TASK, "id": "payconfirm-5afd6be8e13f33616f2876ac"}
JOB = CeleryJob(CONFIRM_TASK, HEADERS["id"], [DOCUMENT], {})


def read(raw):
    """What the worker makes of an item of the list: first the transport, then the consumer."""
    made = made_of(raw, "a tag", "payconfirm")
    assert made["properties"]["delivery_info"][RAW] == raw
    assert made["properties"]["delivery_tag"] == "a tag"
    return read_job(made["headers"], made["content-type"], base64.b64decode(made["body"]), FROM_OUTSIDE)


def encoded(text):
    return base64.b64encode(text.encode(errors="surrogatepass")).decode()


#: As celery-node 0.5.9 puts it into a list: its spellings aren't Celery's, and most headers are missing.
CELERY_NODE = {
    "body": encoded(json.dumps([[DOCUMENT], {}, {}])),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"lang": "js", **HEADERS},
    "properties": {
        "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": "payconfirm"},
        "delivery_mode": 2,
        "delivery_tag": "4ff4e62a-1a0d-4ff2-a4d3-b4a17b1eb6c8",
        "correlationId": HEADERS["id"],
        "replyTo": "",
    },
}


def by_celery(serializer="json"):
    """The message that Celery itself makes, as kombu puts it into a list."""
    with Celery(set_as_current=False, broker="memory://") as app:
        sent = app.amqp.as_task_v2(HEADERS["id"], CONFIRM_TASK, [DOCUMENT], {}, ignore_result=True)
        with app.connection_for_write() as connection:
            channel = connection.default_channel
            producer = app.amqp.Producer(channel)
            prepared, kind, encoding = producer._prepare(sent.body, serializer, None, None, None, sent.headers)
            message = channel.prepare_message(prepared, None, kind, encoding, sent.headers, dict(sent.properties))
    return json.dumps(message).encode()


USABLE = {
    "what Celery sends": by_celery(),
    "what celery-node sends": json.dumps(CELERY_NODE).encode(),
    "the least that protocol 2 asks for": item(DOCUMENT, headers=HEADERS, **{"content-encoding": ...}),
    "no properties and a plain body": item(
        headers=HEADERS, properties=..., body=json.dumps([[DOCUMENT], {}, None], ensure_ascii=False)
    ),
    "a hybrid body": item(headers=HEADERS, body=encoded(json.dumps({"args": [DOCUMENT], "kwargs": {}}))),
    "a hybrid body without kwargs": item(headers=HEADERS, body=encoded(json.dumps({"args": [DOCUMENT]}))),
    "an eta": item(DOCUMENT, headers=HEADERS | {"eta": "2026-11-23T01:00:00.123456+09:00"}),
    "time to expire": item(DOCUMENT, headers=HEADERS | {"expires": (datetime.now(UTC) + timedelta(1)).isoformat()}),
    "no zone in its expires": item(DOCUMENT, headers=HEADERS | {"expires": "2999-01-01T00:00:00"}),
    "the longest id": item(DOCUMENT, headers=HEADERS | {"id": "i" * LONGEST_ID}),
}


@pytest.mark.parametrize("name", USABLE)
def test_a_job_is_read_from_a_message_with(name):
    job = read(USABLE[name])

    assert replace(job, id=HEADERS["id"]) == JOB


def test_what_is_too_large_is_not_read_and_only_its_beginning_is_kept():
    """
    Reading it might end the worker; and a dead letter of half a gigabyte whoever lists them.
    """
    raw = b"[" * (LARGEST_BYTES + 1)

    made = made_of(raw, "a tag", "payconfirm")

    assert made["headers"] == {"id": None, "why": too_large("the message")}
    assert base64.b64decode(made["body"]) == raw[:KEPT_BYTES]


@pytest.mark.parametrize("spoilt", [{"headers": {"compression": "application/x-gzip"}}, {"body": "no base64"}])
def test_whose_headers_can_be_read_is_told_what_is_wrong(spoilt):
    """
    Else whoever polls under that id waits for ever.
    """
    whole = {"body": "W10=", "headers": {}, "properties": {"body_encoding": "base64"}} | spoilt
    whole["headers"] = whole["headers"] | {"id": "payconfirm-r1"}

    made = made_of(json.dumps(whole).encode(), "a tag", "payconfirm")

    assert (made["content-type"], read_id(made["headers"])) == (UNREADABLE, "payconfirm-r1")


def test_a_body_that_is_too_large_becomes_a_dead_letter_of_its_beginning():
    """As RabbitMQ delivers it."""
    raw = b"[" * (LARGEST_BYTES + 1)
    message = Message(raw, headers=dict(HEADERS), content_type="application/json", delivery_info={})

    guard(message, FROM_OUTSIDE)

    (reason, kept, task_id), *_ = json.loads(message.body)
    assert message.headers["task"] == DEAD_LETTER_TASK
    assert reason == too_large("the body")
    assert base64.b64decode(kept) == base64.b64decode(message.headers[RAW]) == raw[:KEPT_BYTES]
    assert task_id == HEADERS["id"]


def test_a_plain_body_may_hold_what_base64_could_not():
    """JSON writes half a character as it is asked to; nothing on the way may fall over it."""
    job = read(item(headers=HEADERS, properties={}, body='[["\\ud800 \\u0000"], {}, null]'))

    assert job.arguments == ["\ud800 \0"]


def test_the_same_tag_twice_makes_two_messages_with_tags_of_their_own():
    raw = item(DOCUMENT, properties={"delivery_tag": "the producer's", "body_encoding": "base64"})

    tags = [made_of(raw, tag, "payconfirm")["properties"]["delivery_tag"] for tag in ("first", "second")]

    assert tags == ["first", "second"]


UNUSABLE = {
    "raw text": (b"pay please", "the message isn't JSON"),
    "an empty string": (b"", "the message isn't JSON"),
    "a JSON array": (b"[1]", "the message isn't a JSON object"),
    "bytes that aren't text": (b"\xff\xc3\x28", "the message isn't JSON"),
    "a nested bomb around it": (b'{"body":' * 100_000, "the message is nested too deeply"),
    "a plain document": (json.dumps(DOCUMENT).encode(), "no body; a document goes into Celery's envelope"),
    "a body that is an object": (json.dumps(envelope(body={"args": []})).encode(), "no body"),
    "no headers": (item(DOCUMENT, headers=...), "no headers"),
    "null headers": (item(DOCUMENT, headers=None), "no headers"),
    "empty headers": (item(DOCUMENT, headers={}), "`task` is missing"),
    "a task that isn't text": (item(DOCUMENT, headers=HEADERS | {"task": 7}), "`task` is missing"),
    "an unknown task": (item(DOCUMENT, headers=HEADERS | {"task": "shop.pay"}), "there is no task 'shop.pay'"),
    "Celery's own task": (item(DOCUMENT, headers=HEADERS | {"task": "celery.chain"}), "there is no task"),
    "our dead letter": (item(DOCUMENT, headers=HEADERS | {"task": DEAD_LETTER_TASK}), "there is no task"),
    "no id": (item(DOCUMENT, headers={"task": CONFIRM_TASK}), "`id` is missing"),
    "an empty id": (item(DOCUMENT, headers=HEADERS | {"id": ""}), "`id` is missing"),
    "an id that no table holds": (item(DOCUMENT, headers=HEADERS | {"id": "a\0b"}), "printable"),
    "an id that is too long": (item(DOCUMENT, headers=HEADERS | {"id": "i" * (LONGEST_ID + 1)}), "printable"),
    "no content type": (item(DOCUMENT, headers=HEADERS, **{"content-type": ...}), "the content type is None"),
    "pickle": (item(headers=HEADERS, **{"content-type": "application/x-python-serialize"}), "the content type is"),
    "compression": (item(DOCUMENT, headers=HEADERS | {"compression": "application/x-gzip"}), "is compressed"),
    "a body that isn't base64": (item(headers=HEADERS, body="###"), "the body isn't base64"),
    "half of a base64 body": (item(headers=HEADERS, body="W1t"), "the body isn't base64"),
    "base64 with letters of no alphabet": (item(headers=HEADERS, body="주문"), "the body isn't base64"),
    "a body that isn't JSON": (item(headers=HEADERS, body=encoded("pay")), "the body isn't JSON"),
    "an empty body": (item(headers=HEADERS, body=""), "the body isn't JSON"),
    "a number too long to read": (item(headers=HEADERS, body=encoded("9" * 5000)), "the body isn't JSON"),
    "a bare document as body": (item(headers=HEADERS, body=encoded(json.dumps(DOCUMENT))), "[args, kwargs, embed]"),
    "no third part": (item(headers=HEADERS, body=encoded(json.dumps([[DOCUMENT], {}]))), "[args, kwargs, embed]"),
    "arguments that are no list": (item(headers=HEADERS, body=encoded('["a", {}, {}]')), "with a list and an object"),
    "kwargs that are no object": (item(headers=HEADERS, body=encoded("[[], [], {}]")), "with a list and an object"),
    "a nested bomb": (item(headers=HEADERS, body=encoded("[" * 100_000)), "nested too deeply"),
    "more levels than needed": (
        item(headers=HEADERS, body=encoded("[" * MOST_LEVELS + "[]" + "]" * (MOST_LEVELS - 1) + ",{},{}]")),
        "nested too deeply",
    ),
    "a bad eta": (item(DOCUMENT, headers=HEADERS | {"eta": "soon"}), "`eta` isn't a time"),
    "an eta that is a number": (item(DOCUMENT, headers=HEADERS | {"eta": 1.5}), "`eta` isn't a time"),
    "a bad expires": (item(DOCUMENT, headers=HEADERS | {"expires": {}}), "`expires` isn't a time"),
    "expired": (item(DOCUMENT, headers=HEADERS | {"expires": "2020-01-01T00:00:00"}), "it expired at 2020-01-01"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_reason_is_given_for_a_message_with(name):
    raw, reason = UNUSABLE[name]

    with pytest.raises(Unusable) as said:
        read(raw)

    assert reason in str(said.value)


def test_metadata_may_have_every_level_that_the_contract_grants():
    deepest = json.loads('{"n":' * 99 + "{}" + "}" * 99)

    job = read(item(DOCUMENT | {"metadata": deepest}, headers=HEADERS))

    assert job.arguments == [DOCUMENT | {"metadata": deepest}]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
#: What a producer writes into a part: mostly nonsense, and often enough what belongs there.
parts = {
    "body": json_values | st.just(body(DOCUMENT)) | st.text().map(encoded),
    "content-type": json_values | st.just("application/json") | st.just("application/x-unreadable"),
    "content-encoding": json_values,
    "headers": json_values
    | st.fixed_dictionaries(
        {},
        optional={
            "task": json_values | st.just(CONFIRM_TASK),
            "id": json_values,
            "eta": json_values | st.datetimes().map(str),
            "expires": json_values | st.datetimes(timezones=st.timezones()).map(str),
            "compression": json_values | st.sampled_from(["zip", "application/x-gzip"]),
            "why": json_values,
            RAW: json_values,
        },
    ),
    "properties": json_values
    | st.fixed_dictionaries(
        {}, optional={"body_encoding": json_values | st.just("base64"), "delivery_tag": json_values}
    ),
}
shaped = st.fixed_dictionaries({}, optional=parts).map(lambda message: json.dumps(message).encode())


@given(
    st.binary()
    | st.text().map(lambda text: text.encode(errors="surrogatepass"))
    | json_values.map(json.dumps).map(str.encode)
    | shaped
)
def test_nothing_in_the_list_is_more_than_unusable(raw):
    with suppress(Unusable):
        assert read(raw).task == CONFIRM_TASK


@given(shaped.map(json.loads), st.none() | st.binary() | st.text())
def test_nothing_from_a_broker_gets_past_the_guard(parts_of_it, content):
    """RabbitMQ's messages come without the transport's help. What leaves the guard can be run."""
    made = Message(
        body=content,
        content_type=parts_of_it.get("content-type"),
        content_encoding=parts_of_it.get("content-encoding"),
        properties=parts_of_it["properties"] if isinstance(parts_of_it.get("properties"), dict) else None,
    )
    made.headers = parts_of_it.get("headers")

    guard(made, FROM_OUTSIDE)

    assert made.headers["task"] in {CONFIRM_TASK, DEAD_LETTER_TASK}
    arguments, named, embed = made.payload
    assert isinstance(arguments, list)
    assert (type(named), embed) == (dict, {})


def test_what_kombu_cannot_unpack_becomes_a_dead_letter():
    """On RabbitMQ kombu unpacks a message before anybody can look at it."""
    handled = []
    consumer = GuardedConsumer.__new__(GuardedConsumer)
    consumer.__dict__ |= {
        "strategies": {DEAD_LETTER_TASK: lambda message, *_: handled.append(message)},
        "on_task_message": None,
        "restart_count": 0,
        "_maximum_prefetch_restored": True,
    }
    packed = zlib.compress(b"[]")[:-4]
    message = Message(
        body=packed, content_type="application/json", headers=HEADERS | {"compression": "application/x-gzip"}
    )

    message._reraise_error(consumer.on_decode_error)

    ((reason, raw, task_id), _, _) = handled[0].payload
    assert "can't be unpacked" in reason
    assert base64.b64decode(raw) == packed
    assert task_id == HEADERS["id"]
