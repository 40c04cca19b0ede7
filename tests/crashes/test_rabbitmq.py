"""Over RabbitMQ workers are killed, cut off and refused: no message is lost, and nobody is charged twice."""

import base64
import re
import signal
import time
from urllib.parse import urlsplit

import pytest
from celery import Celery
from kombu.message import Message

import payconfirm
from config.celery import DELIVERY_LIMIT
from config.settings import Role, Settings
from payconfirm import BrokerUnavailable
from tests.crashes.detour import detour
from tests.crashes.storm import Storm, assert_nothing_was_lost, bad_messages
from tests.crashes.zygote import zygote
from tests.rabbits import AGAIN, DEAD, RabbitStage, message, needs_rabbitmq, opened, virtual_host
from tests.workers import PATIENCE_SECONDS, QUEUE, stage, until
from worker.app import sender_app
from worker.bootstrap import build_relay
from worker.broker.queues import BrokerAway, Sender

pytestmark = needs_rabbitmq

STORM = Storm(seed=20261128, seconds=10, peace_seconds=(0.8, 1.6), last_peace_seconds=2)
FEWEST_KILLS = 3
#: What a killed worker held is promised to be back within this; RabbitMQ sees its connection end at once.
BACK_SECONDS = 20
#: A door that can't send says so in this time, whatever RabbitMQ does.
BOUNDED_SECONDS = 15
SOMEBODY = {"receipt_id": "somebody", "order_id": "o", "amount": 3000}


@pytest.fixture(scope="module")
def rabbit():
    with virtual_host() as url:
        yield url


@pytest.fixture
def house(rabbit, servers, template_database, tmp_path):
    with opened(rabbit) as channel:
        for name in (QUEUE, AGAIN, DEAD):
            channel.queue_delete(name)
    sender(rabbit)._declare()
    variables = {"BROKER_URL": rabbit, "WORKER_CONCURRENCY": "4"}
    with stage(servers, template_database, tmp_path, kind=RabbitStage, **variables) as built:
        yield built


def sender(url):
    return Sender(sender_app(settings(url)))


def settings(broker_url, database_url="postgresql://127.0.0.1:1/x", redis_url="redis://127.0.0.1:1/0"):
    return Settings(role=Role.OTHER, database_url=database_url, redis_url=redis_url, broker_url=broker_url)


def empty(house):
    return house.waiting(QUEUE, AGAIN, DEAD) == 0


def test_killing_workers_loses_nothing_and_charges_nobody_twice(house, tmp_path):
    house.start_gateway(lookup_seconds=0.02, approve_seconds=0.05)
    house.start("relay", house.lines["relay"])
    documents = STORM.documents(house)

    with zygote(tmp_path) as forks, payconfirm.Client.from_url(house.broker_url, house.redis_url) as client:
        kills = STORM.rage(house, forks, client, documents, lambda bad: house.publish(message(body=bad)))
        client.wait(documents[-1]["receipt_id"], PATIENCE_SECONDS)
        until(lambda: house.confirmed(*documents))
        until(lambda: len(house.letters.newest()) == len(bad_messages(documents)))
    until(lambda: empty(house))  # the workers are gone, so nothing is taken any more

    assert kills >= FEWEST_KILLS
    assert_nothing_was_lost(house, documents)


def test_what_a_killed_or_stopped_worker_held_is_back_in_time(house):
    """The stopped one never reads what RabbitMQ has already sent it."""
    house.start_gateway()
    first = house.ready_worker()
    first.send(signal.SIGSTOP)
    documents = house.open_receipts(3)
    house.publish(*map(message, documents))
    until(lambda: house.waiting(QUEUE) == 0)

    first.kill()
    killed_at = time.monotonic()
    house.start_worker()

    until(lambda: house.confirmed(*documents))
    assert time.monotonic() - killed_at < BACK_SECONDS
    assert set(house.charges().values()) == {1}


def test_what_is_given_up_gets_its_row_or_is_kept_with_its_bytes(house):
    """As if each had killed every worker that took it."""
    house.start_gateway()
    good, unknown = house.open_receipts(2)
    bad, again = (
        message(good | {"amount": 1.5}),
        message(unknown["receipt_id"], None, headers={"task": "payconfirm.again"}),
    )
    late, unreadable = message(good, expiration="1"), message(body=b"\xff")
    house.publish(message(good), bad, again, unreadable)

    give_up(house, 4)
    house.publish(late)
    until(lambda: house.waiting(DEAD) == 5)
    house.start("relay", house.lines["relay"])
    until(lambda: len(house.letters.newest()) == 4)
    house.ready_worker()

    until(lambda: house.confirmed(good))
    reasons = {base64.b64decode(letter["raw_base64"]): letter["reason"] for letter in house.letters.newest()}
    assert "RabbitMQ gave it up" in reasons[unreadable.body]
    assert "amount" in reasons[bad.body]
    assert "there is no receipt" in reasons[again.body]
    assert "expired" in reasons[late.body]
    assert house.charges() == {good["receipt_id"]: 1, unknown["receipt_id"]: 0}
    until(lambda: empty(house))


def give_up(house, number):
    """Take these without acknowledging them until RabbitMQ gives them up."""
    for _ in range(DELIVERY_LIMIT + 1):
        until(lambda: house.waiting(QUEUE) == number)
        with opened(house.broker_url) as channel:
            assert all(channel.basic_get(QUEUE) for _ in range(number))


def test_a_letter_that_was_kept_and_not_acknowledged_is_kept_once(house, monkeypatch):
    """The relay died between the two."""
    house.publish(message(body=b"pay please"))
    give_up(house, 1)
    until(lambda: house.waiting(DEAD) == 1)
    addresses = house.environment["DATABASE_URL"], house.environment["REDIS_URL"]
    given_up = build_relay(settings(house.broker_url, *addresses)).given_up

    with monkeypatch.context() as dying:
        dying.setattr(Message, "ack", _dies)
        with pytest.raises(KeyError):
            given_up.turn()
    until(lambda: given_up.turn() or empty(house))
    given_up.close()

    assert len(house.letters.newest()) == 1


def _dies(*_):
    raise KeyError


def test_what_there_was_no_queue_for_makes_one(house):
    sending = sender(house.broker_url)
    with opened(house.broker_url) as channel:
        channel.queue_delete(QUEUE)

    sending.again("somebody", None)

    assert sending.waiting(QUEUE) == 1


def test_a_producer_hears_that_there_is_no_queue(house):
    """It doesn't make one of its own, which would be another one than the worker's."""
    with opened(house.broker_url) as channel:
        channel.queue_delete(QUEUE)

    with payconfirm.Client.from_url(house.broker_url) as client, pytest.raises(BrokerUnavailable, match="somebody"):
        client.enqueue(SOMEBODY)
    sender(house.broker_url)._declare()

    with payconfirm.Client.from_url(house.broker_url) as client:
        assert client.enqueue(SOMEBODY).receipt_id == "somebody"
    assert house.waiting(QUEUE) == 1


def test_queues_in_another_shape_are_used_as_they_are_and_that_is_said_once(house):
    with opened(house.broker_url) as channel:
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    house.start_gateway()
    worker = house.ready_worker()
    documents = house.open_receipts(2)

    house.publish(message(documents[0]))
    until(lambda: house.confirmed(documents[0]))
    with opened(house.broker_url) as channel:  # each of these has it connect anew
        channel.queue_delete(AGAIN)
    until(lambda: "onnection to broker lost" in worker.said)
    house.publish(message(documents[1]))

    until(lambda: house.confirmed(*documents))
    assert worker.said.count("broker.declared_differently") == 1
    worker.check()


def test_a_worker_that_is_cut_off_connects_anew_and_what_it_held_ends_once(house):
    parts = urlsplit(house.broker_url)
    with detour(parts.port or 5672) as address:
        house.environment["BROKER_URL"] = at(house.broker_url, address.port)
        house.start_gateway(approve_seconds=1)
        worker = house.ready_worker()
        documents = house.open_receipts(8)
        house.publish(*map(message, documents))
        until(house.states)

        address.cut()

        until(lambda: house.confirmed(*documents))
    assert set(house.charges().values()) == {1}
    assert "onnection to broker lost" in worker.said


@pytest.mark.parametrize("silent", ["from the beginning", "after the first message"])
def test_a_rabbitmq_that_says_nothing_costs_a_sender_seconds(silent, house):
    parts = urlsplit(house.broker_url)
    with detour(parts.port or 5672) as address:
        url = at(house.broker_url, address.port)
        sending, client = sender(url), payconfirm.Client.from_url(url)
        if silent == "after the first message":
            sending.again("somebody", None)
            client.enqueue(SOMEBODY)
        address.falls_silent()

        for send, refusal in (
            (lambda: sending.waiting(QUEUE), BrokerAway),  # first: over the connection that there is, if there is one
            (lambda: sending.again("somebody", None), BrokerAway),
            (lambda: client.enqueue(SOMEBODY), BrokerUnavailable),
        ):
            began = time.monotonic()
            with pytest.raises(refusal):
                send()
            assert time.monotonic() - began < BOUNDED_SECONDS
        client.close()


def at(url, port):
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0] or "guest:guest"
    return parts._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()


def test_a_celery_program_of_a_shop_s_own_sends_and_makes_no_queue(house):
    house.start_gateway()
    (document,) = house.open_receipts()
    shop = Celery("shop", broker=house.broker_url, set_as_current=False)
    shop.conf.broker_transport_options = {"confirm_publish": True}

    shop.send_task(
        "payconfirm.confirm",
        args=[document],
        queue=QUEUE,
        task_id=f"payconfirm-{document['receipt_id']}",
        serializer="json",
        ignore_result=True,
        declare=[],
        mandatory=True,
    )
    shop.close()

    worker = house.ready_worker()
    until(lambda: house.confirmed(document))
    assert "broker.declared_differently" not in worker.said


def test_health_says_which_rabbitmq_answers(house):
    done = house.start("health", ["python", "-m", "worker", "health"])

    assert done.wait(PATIENCE_SECONDS) == 0, done.said
    assert re.search(r"RabbitMQ \d+\.\d+.* answers", done.said)
