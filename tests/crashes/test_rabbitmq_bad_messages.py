"""The same as on Redis: one worker lives through every mistake that a client of RabbitMQ can make."""

import bz2
import json
import pickle
import zlib
from datetime import UTC, datetime, timedelta

import amqp
import pytest

from tests.crashes.test_bad_messages import AT_ONCE_SECONDS, DEEP, MEGABYTES, ORDER
from tests.rabbits import AGAIN, DEAD, RabbitStage, message, needs_rabbitmq, virtual_host
from tests.workers import QUEUE, stage, until

pytestmark = needs_rabbitmq

#: Small on the wire, and more than a worker has memory for once it is unpacked.
BOMB = bz2.compress(b"0" * 200 * MEGABYTES)
LONG_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
#: As a client sends it.
NEW_YEAR = datetime(2026, 1, 1)  # noqa: DTZ001


class Odd(amqp.Message):
    """A message whose properties are put on the wire as they are given, whatever they say."""

    def __init__(self, body, raw):
        super().__init__(body)
        self._raw = raw

    def _serialize_properties(self):
        return self._raw


def table(*entries):
    """The properties of a message that has nothing but these headers."""
    inside = b"".join(bytes([len(name)]) + name + value for name, value in entries)
    return b"\x20\x00" + len(inside).to_bytes(4, "big") + inside


def body_of(document):
    return json.dumps([[document], {}, {}]).encode()


BAD = {
    "raw text": (message(body=b"pay please"), "the body isn't JSON"),
    "an empty body": (message(body=b""), "the body isn't JSON"),
    "a bare document": (message(body=json.dumps(ORDER).encode()), "[args, kwargs, embed]"),
    "bytes that aren't text": (message(body=b"\xff\xfe\xc3\x28"), "the body isn't"),
    "5 MB of anything": (message(body=b"a" * MEGABYTES), "isn't JSON"),
    "a nested bomb": (message(body=b"[" * DEEP + b"]" * DEEP), "nested"),
    "5 MB of metadata": (message(ORDER | {"metadata": {"x": "x" * MEGABYTES}}), "metadata"),
    "no content type": (message(ORDER, content_type=...), "content type"),
    "pickle": (
        message(body=pickle.dumps(([], {}, {})), content_type="application/x-python-serialize"),
        "content type",
    ),
    "a content type that isn't text": (Odd(body_of(ORDER), b"\x80\x00\x02\xff\xfe"), "can't be read"),
    "our own word for what can't be read": (message(ORDER, content_type="application/x-unreadable"), "content type"),
    "a coding that would rewrite it": (message(body=b"\\x41 caf\xe9", content_encoding="unicode_escape"), "JSON"),
    "a coding that there isn't": (message(body=b"pay", content_encoding="klingon"), "JSON"),
    "no headers": (amqp.Message(body_of(ORDER), content_type="application/json"), "`task` is missing"),
    "no task": (message(ORDER, headers={"task": ...}), "`task` is missing"),
    "no id": (message(ORDER, headers={"id": ...}), "`id` is missing"),
    "an id that is a number": (message(ORDER, headers={"id": 7}), "`id`"),
    "a task that there isn't": (message(ORDER, headers={"task": "shop.pay"}), "no task 'shop.pay'"),
    "our own dead letter": (message("a", "", None, headers={"task": "payconfirm.dead_letter"}), "no task"),
    "a compressed body": (
        message(body=zlib.compress(body_of(ORDER)), headers={"compression": "application/x-gzip"}),
        "compressed",
    ),
    "a bomb that is unpacked to a gigabyte": (
        message(body=BOMB, headers={"compression": "application/x-bz2"}),
        "compressed",
    ),
    "a compression that is a table": (message(ORDER, headers={"compression": {"a": 1}}), "compressed"),
    "a header with a time in no year that there is": (
        Odd(body_of(ORDER), table((b"at", b"T" + b"\x7f" * 8))),
        "can't be read",
    ),
    "a header that isn't text": (Odd(body_of(ORDER), table((b"\xff\xfe", b"S\x00\x00\x00\x01\xff"))), "content type"),
    "a bad eta": (message(ORDER, headers={"eta": "soon"}), "`eta`"),
    "a message that is too late": (message(ORDER, headers={"expires": LONG_AGO}), "it expired at"),
    "no arguments": (message(), "exactly one argument"),
    "a document that is text": (message("never"), "document"),
    "a bad document": (message(ORDER | {"amount": 3000.5}), "amount"),
    "a sweep's message for no receipt": (
        message("nobody-knows", None, headers={"task": "payconfirm.again"}),
        "nobody-knows",
    ),
}

USABLE = {
    "an answer that somebody waits for": {"reply_to": "shop", "correlation_id": "another"},
    "a priority, a type and an app": {"priority": 9, "type": "order", "app_id": "shop", "message_id": "m"},
    "a coding of another kind": {"content_encoding": "latin-1"},
    "no coding": {"content_encoding": ...},
    "time to expire": {"expiration": "60000"},
    "an eta": {"headers": {"eta": "2099-01-01T00:00:00"}},
    "headers of every kind": {"headers": {"when": NEW_YEAR, "list": [1, {"a": None}], "yes": True, "x": 1.5}},
    "a time in milliseconds": {"timestamp": 1_790_000_000_000},
}


@pytest.fixture(scope="module")
def house(servers, template_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rabbitmq-bad-messages")
    with virtual_host() as url, stage(servers, template_database, folder, kind=RabbitStage, BROKER_URL=url) as built:
        built.start_gateway()
        yield built


@pytest.fixture(scope="module")
def worker(house):
    """One for all. What it has taken and not acknowledged is back when it has ended: nothing may be."""
    worker = house.ready_worker()
    yield worker
    worker.kill()
    assert house.waiting(QUEUE, AGAIN, DEAD) == 0


def after(house, worker, *before):
    pid = worker.pid
    (document,) = house.open_receipts()
    house.publish(*before, message(document))
    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
    worker.check()
    assert worker.pid == pid
    assert "onnection to broker lost" not in worker.said


@pytest.mark.parametrize("name", BAD)
def test_the_next_message_ends_at_once_and_kept_is(name, house, worker):
    bad, wanted = BAD[name]

    after(house, worker, bad)

    body = bad.body if isinstance(bad.body, bytes) else bad.body.encode()
    (reason,) = until(lambda: house.kept(body)[:1], AT_ONCE_SECONDS)
    assert wanted in reason


@pytest.mark.parametrize("name", USABLE)
def test_a_message_is_used_in_spite_of_having(name, house, worker):
    (document,) = house.open_receipts()

    after(house, worker, message(document, **USABLE[name]))

    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
