"""What the client puts on the wire, and that it says yes only once the broker has it."""

import base64
import contextlib
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import celery
import kombu
import pytest
import redis

import payconfirm
from tests.workers import until

DOCUMENT = {"receipt_id": "5afd6be8e13f33616f2876ac", "order_id": "주문-1001", "amount": 3000}
FULL_DOCUMENT = DOCUMENT | {"currency": "KRW", "items": [], "callback_url": None, "metadata": {}}
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}

#: How long a broker that is away may hold up a request: every wait of one message in a row.
AWAY_SECONDS = 8.0


@pytest.fixture
def store(redis_url):
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def client(redis_url):
    with payconfirm.Client.from_url(redis_url) as client:
        yield client


@pytest.fixture
def closed_port():
    """A port that nobody listens on while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


@pytest.fixture
def forgetful_port(redis_url):
    """A way to the broker that loses the answer to the first message, and the connection with it."""
    port = urlsplit(redis_url).port
    with socket.create_server(("127.0.0.1", 0)) as door:
        lost = threading.Event()
        threading.Thread(target=_let_in, args=(door, port, lost), daemon=True).start()
        yield door.getsockname()[1]
        assert lost.is_set(), "no answer was lost: this proved nothing"


def _let_in(door, port, lost):
    with contextlib.suppress(OSError):
        while True:
            outside, _ = door.accept()
            inside = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=_carry, args=(outside, inside, lost), daemon=True).start()


def _carry(outside, inside, lost):
    """Carry one question in and its answer out, until there are no more or the answer is lost."""
    with outside, inside, contextlib.suppress(OSError):
        while asked := outside.recv(65_536):
            inside.sendall(asked)
            answer = inside.recv(65_536)
            if b"LPUSH" in asked and not lost.is_set():
                lost.set()
                return
            outside.sendall(answer)


def envelopes(store):
    return [json.loads(raw) for raw in store.lrange("payconfirm", 0, -1)]


def body(envelope):
    return json.loads(base64.b64decode(envelope["body"]))


def test_the_envelope_on_the_wire_is_celerys_and_holds_the_document_with_its_defaults(client, store):
    ticket = client.enqueue(DOCUMENT)

    [envelope] = envelopes(store)
    assert envelope["headers"]["task"] == "payconfirm.confirm"
    assert envelope["headers"]["id"] == "payconfirm-5afd6be8e13f33616f2876ac"
    assert envelope["content-type"] == "application/json"
    assert envelope["content-encoding"] == "utf-8"
    assert envelope["properties"]["correlation_id"] == ticket.task_id
    assert envelope["properties"]["delivery_mode"] == 2
    assert envelope["properties"]["delivery_info"] == {"exchange": "", "routing_key": "payconfirm"}
    assert body(envelope) == [[FULL_DOCUMENT], {}, EMBED]


def test_nothing_but_the_message_is_left_in_the_broker(client, store):
    """
    A result backend, an event or a declared queue would leave keys that the shop didn't ask for.
    """
    client.enqueue(DOCUMENT)

    assert store.keys() == [b"payconfirm"]


def test_another_celery_program_reads_the_message(client, redis_url):
    client.enqueue(DOCUMENT)

    with kombu.Connection(redis_url) as connection, connection.SimpleQueue("payconfirm") as queue:
        message = queue.get(timeout=5)
        message.ack()

    assert message.payload == [[FULL_DOCUMENT], {}, EMBED]
    assert message.headers["task"] == "payconfirm.confirm"


def test_monitors_see_the_receipt_and_not_the_shops_own_business(client, store):
    client.enqueue(DOCUMENT | {"metadata": {"buyer": "홍길동"}, "callback_url": "https://shop.example/?key=secret"})

    headers = json.dumps(envelopes(store)[0]["headers"], ensure_ascii=False)
    assert "홍길동" not in headers
    assert "secret" not in headers


def test_the_ticket_names_the_receipt_and_its_task(client):
    ticket = client.enqueue(json.dumps(DOCUMENT))

    assert (ticket.receipt_id, ticket.task_id) == (DOCUMENT["receipt_id"], "payconfirm-5afd6be8e13f33616f2876ac")
    assert ticket == client.enqueue(payconfirm.read_document(DOCUMENT))
    with pytest.raises(AttributeError):
        ticket.receipt_id = "another"


def test_a_bad_document_is_refused_before_anything_is_sent(closed_port):
    """
    The broker is away: only the check before the network can answer InvalidOrder.
    """
    with (
        payconfirm.Client.from_url(f"redis://127.0.0.1:{closed_port}/0") as client,
        pytest.raises(payconfirm.InvalidOrder, match=r"amount: .*order_id: |order_id: .*amount: ") as refused,
    ):
        client.enqueue({"receipt_id": "a", "amount": 3000.0})

    assert {error["field"] for error in refused.value.errors} == {"amount", "order_id"}


def test_many_threads_share_one_client(client, store):
    """
    More threads than the client has connections: each waits for its turn, none loses its message.
    """
    start = threading.Barrier(16)

    def buy(thread):
        start.wait()
        for number in range(20):
            client.enqueue(DOCUMENT | {"receipt_id": f"r-{thread}-{number}"})

    threads = [threading.Thread(target=buy, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    sent = envelopes(store)
    assert len({body(envelope)[0][0]["receipt_id"] for envelope in sent}) == len(sent) == 320
    assert len({envelope["properties"]["delivery_tag"] for envelope in sent}) == 320


def test_a_lost_answer_leaves_two_messages_of_one_task_and_a_yes(forgetful_port, redis_url, store):
    """
    Harmless, since the receipt's row makes them one job; an error here would only have it sent a third time.
    """
    url = redis_url.replace(f":{urlsplit(redis_url).port}/", f":{forgetful_port}/")
    with payconfirm.Client.from_url(url) as client:
        client.enqueue(DOCUMENT)

    first, second = envelopes(store)
    assert first["headers"]["id"] == second["headers"]["id"] == "payconfirm-5afd6be8e13f33616f2876ac"
    assert body(first) == body(second)


def test_connections_that_died_in_the_pool_are_replaced(client, store):
    client.enqueue(DOCUMENT)

    for kind in ("normal", "pubsub"):
        store.client_kill_filter(_type=kind, skipme=True)
    client.enqueue(DOCUMENT)

    assert len(envelopes(store)) == 2


def test_the_shops_own_celery_stays_as_it_was(redis_url, store, closed_port, monkeypatch):
    """
    Celery reads CELERY_BROKER_URL over whatever a program says: ours would go to the shop's own broker.
    """
    monkeypatch.setenv("CELERY_BROKER_URL", f"redis://127.0.0.1:{closed_port}/0")
    before = celery.current_app._get_current_object()

    with payconfirm.Client.from_url(redis_url) as client:
        client.enqueue(DOCUMENT)

    assert celery.current_app._get_current_object() is before
    assert len(envelopes(store)) == 1


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_a_broker_that_is_away_is_said_within_seconds_and_without_its_password(scheme, port, request):
    url = f"{scheme}://shop:hunter2@127.0.0.1:{request.getfixturevalue(port)}//"
    started = time.monotonic()

    with payconfirm.Client.from_url(url) as client, pytest.raises(payconfirm.BrokerUnavailable) as away:
        client.enqueue(DOCUMENT)

    assert time.monotonic() - started < AWAY_SECONDS
    assert DOCUMENT["receipt_id"] in str(away.value)
    assert "hunter2" not in str(away.value)
    assert away.value.__cause__ is not None


def test_a_broker_that_stops_answering_is_said_within_seconds(client, store):
    """
    As in a failover: the connection is there and warm, only the answer never comes.
    """
    client.enqueue(DOCUMENT)
    store.client_pause(60_000, all=False)
    started = time.monotonic()
    try:
        with pytest.raises(payconfirm.BrokerUnavailable):
            client.enqueue(DOCUMENT)
    finally:
        store.client_unpause()

    assert time.monotonic() - started < AWAY_SECONDS
    assert client.enqueue(DOCUMENT).receipt_id == DOCUMENT["receipt_id"]


def test_a_broker_that_refuses_to_write_is_not_taken_for_a_yes(redis_url, store):
    """
    A Redis that is full or read-only answers; only its answer says that the message isn't there.
    """
    store.acl_setuser("reader", enabled=True, passwords=["+pw"], categories=["+@all", "-@write"], keys=["*"])
    address = redis_url.rpartition("@")[2]
    try:
        with (
            payconfirm.Client.from_url(f"redis://reader:pw@{address}") as client,
            pytest.raises(payconfirm.BrokerUnavailable) as refused,
        ):
            client.enqueue(DOCUMENT)
    finally:
        store.acl_deluser("reader")

    assert "permissions" in str(refused.value.__cause__)
    assert envelopes(store) == []


def test_a_url_that_is_no_brokers_is_refused_without_being_repeated():
    with pytest.raises(ValueError, match="redis://") as refused:
        payconfirm.Client.from_url("postgresql://shop:hunter2@127.0.0.1/shop")

    assert "hunter2" not in str(refused.value)


def test_a_closed_client_holds_no_connection(redis_url, store):
    """By their ids: a connection of an earlier test may end meanwhile, and Redis notices an end a moment later."""

    def connections():
        mine = str(store.connection_pool.connection_kwargs["db"])
        return {entry["id"] for entry in store.client_list() if entry["db"] == mine}

    before = connections()
    with payconfirm.Client.from_url(redis_url) as client:
        client.enqueue(DOCUMENT)
        assert client.result("unknown") is None
        its_own = connections() - before
        assert its_own

    with contextlib.closing(client):  # closing twice is harmless
        until(lambda: not its_own & connections())
