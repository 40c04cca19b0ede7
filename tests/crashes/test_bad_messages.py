"""One worker lives through every mistake that a producer can put on its queue: each is kept, and the next job runs."""

import base64
import json
import pickle
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.workers import body, envelope, item, stage, until

#: A message after a bad one ends as quickly as any other; a reconnect, or a worker that starts again, takes longer.
AT_ONCE_SECONDS = 5
MEGABYTES = 5_000_000
DEEP = 100_000
LEVELS_PYTHON_STILL_READS = 900
ORDER = {"receipt_id": "never", "order_id": "o", "amount": 3000}


@dataclass(frozen=True)
class Bad:
    """A message nobody can use, and a part of the reason that must be given."""

    raw: bytes
    reason: str


def headers(**changes):
    whole = {**envelope()["headers"], **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def plain(content):
    """A message whose body is sent as it is."""
    return item(body=content, properties={"delivery_tag": "plain", "delivery_info": {}})


def encoded(content):
    return base64.b64encode(content).decode()


def ago(**before):
    return (datetime.now(UTC) - timedelta(**before)).isoformat()


BAD = {
    "raw text": Bad(b"pay for 5afd6be8e13f33616f2876ac please", "isn't JSON"),
    "an empty string": Bad(b"", "isn't JSON"),
    "a JSON array": Bad(b'["5afd6be8e13f33616f2876ac"]', "isn't a JSON object"),
    "a JSON number": Bad(b"7", "isn't a JSON object"),
    "a plain document": Bad(json.dumps(ORDER).encode(), "no body"),
    "bytes that aren't text": Bad(b"\xff\xfe\x00pay\xc3\x28", "isn't JSON"),
    "5 MB of anything": Bad(b"a" * MEGABYTES, "isn't JSON"),
    "an envelope nested too deeply": Bad(b"[" * DEEP + b"]" * DEEP, "nested"),
    "no content type": Bad(item(ORDER, **{"content-type": ...}), "content type"),
    "no body": Bad(item(body=...), "no body"),
    "no headers": Bad(item(ORDER, headers=...), "no headers"),
    "headers that are a list": Bad(item(headers=[]), "no headers"),
    "empty headers": Bad(item(headers={}), "`task` is missing"),
    "no task": Bad(item(ORDER, headers=headers(task=...)), "`task` is missing"),
    "no id": Bad(item(ORDER, headers=headers(id=...)), "`id` is missing"),
    "an id that is a number": Bad(item(ORDER, headers=headers(id=7)), "`id`"),
    "an id with a NUL": Bad(item(ORDER, headers=headers(id="a\0b")), "`id`"),
    "an id with half a character": Bad(item(ORDER, headers=headers(id="a\ud800b")), "`id`"),
    "an id with a NUL and nothing else": Bad(item(headers={"id": "a\0b"}), "`task` is missing"),
    "a body that isn't base64": Bad(item(body="###"), "isn't base64"),
    "a body that is an object": Bad(json.dumps(envelope(body={"args": [ORDER]})).encode(), "no body"),
    "a bare document as body": Bad(item(body=encoded(json.dumps(ORDER).encode())), "[args, kwargs, embed]"),
    "a body without its third part": Bad(item(body=encoded(json.dumps([[ORDER], {}]).encode())), "embed"),
    "a body that isn't JSON": Bad(item(body=encoded(b"pay please")), "the body isn't JSON"),
    "no properties, so nothing says that its body is base64": Bad(item(ORDER, properties=...), "the body isn't JSON"),
    "an empty body": Bad(item(body=""), "the body isn't JSON"),
    "a body that isn't text": Bad(item(body=encoded(b"\xff\xfe\xc3\x28")), "the body isn't"),
    "a plain body that isn't JSON": Bad(plain("pay please"), "the body isn't JSON"),
    "a nested bomb": Bad(item(body=encoded(b"[" * DEEP + b"]" * DEEP)), "nested"),
    "an argument nested as deeply as Python still reads": Bad(
        item(body=encoded(b"[[%b1%b],{},{}]" % (b"[" * LEVELS_PYTHON_STILL_READS, b"]" * LEVELS_PYTHON_STILL_READS))),
        "nested",
    ),
    "5 MB of metadata": Bad(item(ORDER | {"metadata": {"x": "x" * MEGABYTES}}), "metadata"),
    "pickle": Bad(
        item(body=encoded(pickle.dumps(([], {}, {}))), **{"content-type": "application/x-python-serialize"}),
        "content type",
    ),
    "our own word for what can't be read": Bad(
        item(ORDER, **{"content-type": "application/x-unreadable"}), "content type"
    ),
    "a compressed body": Bad(item(ORDER, headers=headers(compression="application/x-gzip")), "compressed"),
    "a compression that is a list": Bad(item(ORDER, headers=headers(compression=["zip"])), "compressed"),
    "a task that there isn't": Bad(item(ORDER, headers=headers(task="shop.pay")), "no task 'shop.pay'"),
    "Celery's own chain": Bad(item(ORDER, headers=headers(task="celery.chain")), "no task"),
    "our own dead letter": Bad(
        item(body=body("a reason", "", None), headers=headers(task="payconfirm.dead_letter")), "no task"
    ),
    "a bad eta": Bad(item(ORDER, headers=headers(eta="soon")), "`eta`"),
    "a bad expires": Bad(item(ORDER, headers=headers(expires=[1])), "`expires`"),
    "a message that is too late": Bad(item(ORDER, headers=headers(expires=ago(hours=1))), "it expired at"),
    "no arguments": Bad(item(body=body()), "exactly one argument"),
    "two arguments": Bad(item(body=body(ORDER, ORDER)), "exactly one argument"),
    "a named argument": Bad(item(body=body(document=ORDER)), "exactly one argument"),
    "a document that is text": Bad(item("never"), "document"),
    "a bad document": Bad(item(ORDER | {"amount": 3000.5}), "amount"),
    "a document whose receipt has a NUL": Bad(item(ORDER | {"receipt_id": "a\0b"}), "receipt_id"),
    "a document whose receipt has half a character": Bad(item(ORDER | {"receipt_id": "a\ud800"}), "receipt_id"),
    "a sweep's message with too much in it": Bad(
        item(body=body("never", None, 3), headers=headers(task="payconfirm.again")), "fence"
    ),
    "a sweep's message for a receipt with a NUL": Bad(
        item(body=body("a\0b", None), headers=headers(task="payconfirm.again")), "A-Z"
    ),
    "a sweep's message for no receipt": Bad(
        item(body=body("nobody-knows", None), headers=headers(task="payconfirm.again")), "nobody-knows"
    ),
}


@pytest.fixture(scope="module")
def house(servers, template_database, tmp_path_factory):
    with stage(servers, template_database, tmp_path_factory.mktemp("bad-messages")) as built:
        built.start_gateway()
        yield built


@pytest.fixture(scope="module")
def worker(house):
    """One for all: that it lives through all of them is the point."""
    return house.ready_worker()


def after(house, worker, *before):
    """Push these and then a good message; return its document once it has ended at once and nothing is left."""
    pid = worker.pid
    (document,) = house.open_receipts()
    house.push(*before, item(document))
    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
    until(lambda: not house.left_over(), AT_ONCE_SECONDS)
    worker.check()
    assert worker.pid == pid
    assert "onnection to broker lost" not in worker.said
    return document


@pytest.mark.parametrize("name", BAD)
def test_the_next_message_ends_at_once_and_kept_is(name, house, worker):
    bad = BAD[name]

    after(house, worker, bad.raw)

    (reason,) = house.kept(bad.raw)
    assert bad.reason in reason


READABLE = {
    "an unknown task": item(ORDER, headers=headers(task="shop.other")),
    "an expired message": item(ORDER, headers=headers(expires=ago(hours=1))),
    "two arguments": item(body=body(ORDER, ORDER)),
    "Celery's protocol 1": item(
        body=encoded(json.dumps({"task": "payconfirm.confirm", "args": [ORDER]}).encode()), headers={}
    ),
}


@pytest.mark.parametrize("name", READABLE)
def test_whose_receipt_can_be_read_is_listed_under_it(name, house, worker):
    after(house, worker, READABLE[name])

    found = [letter for letter in house.letters.newest() if base64.b64decode(letter["raw_base64"]) == READABLE[name]]
    assert [letter["receipt_id"] for letter in found] == [ORDER["receipt_id"]]


def test_every_field_that_is_wrong_is_named_however_many(house, worker):
    raw = item(ORDER | {f"unknown_{number}": 1 for number in range(500)})

    after(house, worker, raw)

    (reason,) = house.kept(raw)
    assert all(f"unknown_{number}: " in reason for number in range(500))


USABLE = {
    "no properties": lambda document: item(body=json.dumps([[document], {}, None]), properties=...),
    "no delivery tag": lambda document: item(
        document, properties={"body_encoding": "base64", "delivery_info": {"exchange": "", "routing_key": "payconfirm"}}
    ),
    "no delivery info": lambda document: item(
        document, properties={"body_encoding": "base64", "delivery_tag": "no-delivery-info"}
    ),
    "an eta": lambda document: item(document, headers=headers(eta="2099-01-01T00:00:00")),
    "time to expire": lambda document: item(document, headers=headers(expires="2099-01-01T00:00:00")),
    "a hybrid body": lambda document: item(body=encoded(json.dumps({"args": [document], "kwargs": {}}).encode())),
    "a plain body": lambda document: plain(json.dumps([[document], {}, None])),
}


@pytest.mark.parametrize("name", USABLE)
def test_a_message_is_used_in_spite_of_having(name, house, worker):
    (document,) = house.open_receipts()
    raw = USABLE[name](document)

    after(house, worker, raw)

    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
    assert house.kept(raw) == []


def test_two_messages_with_the_same_tag_are_two_messages(house, worker):
    """The tag is kombu's key for what is unacknowledged; a producer's own may stand twice."""
    documents = house.open_receipts(2)
    tag = {"body_encoding": "base64", "delivery_tag": "the same", "delivery_info": {"routing_key": "payconfirm"}}

    after(house, worker, *(item(document, properties=tag) for document in documents))

    until(lambda: house.confirmed(*documents), AT_ONCE_SECONDS)


def test_five_copies_byte_for_byte_are_charged_once(house, worker):
    (document,) = house.open_receipts()
    raw = item(document)

    after(house, worker, *[raw] * 5)

    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
    assert house.charges()[document["receipt_id"]] == 1
    assert house.kept(raw) == []


@pytest.mark.parametrize("value", [{"__type__": "bytes", "__value__": "x"}, {"__type__": "uuid", "__value__": 7}])
def test_metadata_is_no_python_object(house, worker, value):
    """kombu's own reader makes one of whatever has these two names, or fails over it."""
    (document,) = house.open_receipts(metadata={"odd": value})

    after(house, worker, item(document))

    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
    statement = "SELECT metadata FROM payconfirm.confirmations WHERE receipt_id = :receipt_id"
    (row,) = house.ask(statement, receipt_id=document["receipt_id"])
    assert row.metadata == {"odd": value}
