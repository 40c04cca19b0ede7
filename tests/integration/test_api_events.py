"""The feed over HTTP, page by page and as a stream: on a real process and real servers."""

import itertools
import json
import signal
import socket
import time
from contextlib import ExitStack, closing, contextmanager
from threading import Thread
from urllib.parse import urlsplit

import httpx
import psycopg2
import pytest

from api import cursors
from tests.integration.web_process import KEY, PATIENCE_SECONDS, Web, assert_problem, order, shared_door
from worker.store.engine import make_engine
from worker.store.outbox import Outbox

TELL = """
INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
VALUES (gen_random_uuid(), %(id)s, 1, 'payconfirm.confirmed',
        jsonb_build_object('receipt_id', %(id)s::text, 'sequence', 1, 'filler', repeat('x', %(size)s)), now(), false)
"""
NUMBERS = itertools.count()
#: The most that a process may grow by for readers who don't read.
MEGABYTES = 40


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture(scope="module")
def outbox(web):
    engine = make_engine(web.addresses["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"))
    yield Outbox(engine)
    engine.dispose()


@pytest.fixture
def place(outbox, web):
    """What the relay does with events, and the hint that it gives."""

    def placed():
        outbox.place(10_000)
        with web.redis as connection:
            connection.publish("payconfirm:feed", "")

    return placed


@pytest.fixture
def start(web):
    """Where the feed ended before this test."""
    [(last,)] = web.rows.ask("SELECT COALESCE(max(place), 0) FROM payconfirm.outbox")
    return cursors.write(last)


@pytest.fixture
def tell(web, place):
    """Events of receipts of their own, each in its place."""

    def told(number=1, size=0):
        names = [f"told-{next(NUMBERS)}" for _ in range(number)]
        with closing(psycopg2.connect(web.addresses["DATABASE_URL"])) as connection, connection:
            connection.cursor().executemany(TELL, [{"id": name, "size": size} for name in names])
        place()
        return names

    return told


def page(web, **asked):
    answer = web.get("/v1/events", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def subjects(events):
    return [event["subject"] for event in events]


@contextmanager
def following(web, after="", **headers):
    """Follow the stream; give its events, each with its cursor."""
    url = f"{web.url}/v1/events/stream"
    asked = {"after": after} if after else {}
    timeout = httpx.Timeout(PATIENCE_SECONDS)
    with httpx.stream("GET", url, params=asked, headers=KEY | headers, timeout=timeout) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read(answer.iter_lines())


def read(lines):
    event = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            event[name] = value
        elif "data" in event:
            yield event["id"], event["event"], json.loads(event["data"])
            event = {}


def take(stream, number):
    return [next(stream) for _ in range(number)]


def test_pages_lead_through_the_whole_feed_and_wait_at_its_end(web, tell, start):
    assert page(web, after=start) == {"events": [], "next": start}
    names = tell(5)

    first = page(web, limit=2, after=start)
    second = page(web, limit=2, after=first["next"])
    third = page(web, limit=2, after=second["next"])
    end = page(web, limit=2, after=third["next"])

    assert subjects(first["events"] + second["events"] + third["events"]) == names
    assert end == {"events": [], "next": third["next"]}
    more = tell(1)
    assert subjects(page(web, after=end["next"])["events"]) == more


def test_an_event_is_a_cloud_event_with_the_result(web, place, start):
    document = order()
    web.post(document)
    announced = web.rows.end(document["receipt_id"])
    place()

    [event] = page(web, after=start)["events"]

    assert event["specversion"] == "1.0"
    assert (event["type"], event["source"]) == ("payconfirm.confirmed", "payconfirm")
    assert (event["subject"], event["sequence"], event["data"]) == (document["receipt_id"], 1, announced)


@pytest.mark.parametrize("by_place", [True, False], ids=["guarded", "control"])
def test_a_late_commit_is_never_skipped(web, tell, place, start, by_place):
    """Who read by the outbox's own number would be past it, and never come back."""
    name = f"late-{next(NUMBERS)}"
    with closing(psycopg2.connect(web.addresses["DATABASE_URL"])) as late:
        late.cursor().execute(TELL, {"id": name, "size": 0})
        names = tell(2)
        before = page(web, after=start)
        [(seen,)] = web.rows.ask("SELECT max(number) FROM payconfirm.outbox")
        late.commit()
    place()

    if by_place:
        read_on = subjects(page(web, after=before["next"])["events"])
    else:
        read_on = web.rows.ask("SELECT receipt_id FROM payconfirm.outbox WHERE number > %s", seen)

    assert subjects(before["events"]) == names
    assert read_on == ([name] if by_place else [])


@pytest.mark.parametrize("cursor", ["7", "AAAA", "AAAAAAAAAAEAAAAA", "AAAAAAAAAAGIXsx=", "가", "-1", " "])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
def test_what_is_no_cursor_is_refused(web, path, cursor):
    [error] = assert_problem(web.get(path, params={"after": cursor}), 422)["errors"]

    assert error["field"] == "after"
    assert '"next"' in error["message"]


def test_a_cursor_that_was_cut_is_refused(web, start):

    assert_problem(web.get("/v1/events", params={"after": start[:-4]}), 422)
    assert_problem(web.get("/v1/events/stream", headers=KEY | {"Last-Event-ID": start[:-4]}), 422)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "1.5"])
def test_a_wrong_limit_is_refused(web, limit):
    [error] = assert_problem(web.get("/v1/events", params={"limit": limit}), 422)["errors"]

    assert error["field"] == "limit"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
def test_the_feed_needs_a_key(web, path):
    assert_problem(web.get(path, headers={}), 401)


def test_a_stream_tells_what_was_and_what_comes(web, tell, start):
    names = tell(120)  # more than one page

    with following(web, start) as stream:
        before = take(stream, 120)
        more = tell(2)
        after = take(stream, 2)

    assert subjects(event for _, _, event in before) == names
    assert subjects(event for _, _, event in after) == more
    assert {kind for _, kind, _ in before} == {"payconfirm.confirmed"}


def test_a_stream_goes_on_where_its_reader_was_cut_off(web, tell, start):
    names = tell(4)
    with following(web, start) as stream:
        cursor = take(stream, 2)[-1][0]

    with following(web, **{"Last-Event-ID": cursor}) as stream:
        assert subjects(event for *_, event in take(stream, 2)) == names[2:]
    with following(web, after=cursor) as stream:
        assert subjects(event for *_, event in take(stream, 2)) == names[2:]
    last = page(web, after=start)["next"]
    with following(web, after=last, **{"Last-Event-ID": cursor}) as stream:
        assert subjects(event for *_, event in take(stream, 1)) == names[2:3]


def test_a_reader_who_has_read_nothing_begins_at_the_beginning_whatever_its_address_says(web, tell):
    tell(2)
    first, last = page(web, limit=1)["next"], page(web)["next"]

    with following(web, after=last, **{"Last-Event-ID": cursors.write(0)}) as stream:
        tell(1)
        [(cursor, *_)] = take(stream, 1)
    assert cursor == first


def test_a_stream_without_hints_is_only_later(web, tell, outbox, start):
    tell(1)
    with following(web, start) as stream:
        take(stream, 1)
        with closing(psycopg2.connect(web.addresses["DATABASE_URL"])) as connection, connection:
            connection.cursor().execute(TELL, {"id": "unheard", "size": 0})
        outbox.place(10)

        assert subjects(event for *_, event in take(stream, 1)) == ["unheard"]


def test_a_stop_ends_every_stream_and_is_no_crash(web, tell, start, tmp_path):
    tell(1)
    rest = []
    web = Web(tmp_path, **web.addresses)
    with following(web, start) as stream:
        take(stream, 1)
        reader = Thread(target=lambda: rest.extend(stream))
        reader.start()
        before = time.monotonic()
        web.process.send_signal(signal.SIGTERM)
        code = web.process.wait(PATIENCE_SECONDS)
        reader.join(PATIENCE_SECONDS)

    web.client.close()
    assert (code, rest) == (0, [])  # its end was written: else the reader would have raised
    assert time.monotonic() - before < 10


def test_who_follows_costs_no_thread_and_who_does_not_read_little_memory(web, tell, start):
    """All of it would be some 80 MB for the twenty of them."""
    tell(1000, size=4000)
    before = web.memory
    with ExitStack() as stack:
        for _ in range(20):
            address = ("127.0.0.1", urlsplit(web.url).port)
            connection = stack.enter_context(closing(socket.create_connection(address, PATIENCE_SECONDS)))
            head = f"GET /v1/events/stream?after={start} HTTP/1.1\r\nHost: door\r\n"
            connection.sendall(f"{head}Authorization: {KEY['Authorization']}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        with following(web, start) as stream:
            take(stream, 1000)
        grown = web.memory - before
        threads = web.threads

    assert threads < 20
    assert grown < MEGABYTES
