"""A producer of an unusable document is told, and never at the cost of a good job's result."""

import json
from types import SimpleNamespace

import pytest
import redis

from tests import ledgers
from worker.relay.duties import answer_dead_letters
from worker.relay.results import ResultStore
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.ledger import Ledger

BAD = DeadLetter("celery", "amount: is missing", b"[[{}], {}]", "r1", "payconfirm-r1")


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def relay(engine, client):
    return SimpleNamespace(dead_letters=DeadLetters(engine), results=ResultStore(client))


def polled(client):
    stored = client.get("celery-task-meta-payconfirm-r1")
    return json.loads(stored)["status"] if stored else None


def test_a_producer_of_an_unusable_document_sees_a_failure(relay, client):
    relay.dead_letters.keep(BAD)

    assert answer_dead_letters(relay)
    assert not answer_dead_letters(relay)
    assert polled(client) == "FAILURE"


def test_a_receipt_with_a_row_gets_no_failure_from_a_bad_copy(relay, engine, client):
    Ledger(engine).keep(ledgers.order("r1"), 0)
    relay.dead_letters.keep(BAD)

    answer_dead_letters(relay)

    assert polled(client) is None


def test_a_failure_is_withdrawn_once_the_receipt_has_a_row(relay, engine, client):
    relay.dead_letters.keep(BAD)
    answer_dead_letters(relay)

    Ledger(engine).keep(ledgers.order("r1"), 0)
    answer_dead_letters(relay)

    assert polled(client) is None
    assert not answer_dead_letters(relay)


def test_a_letter_that_nobody_polls_for_is_kept_and_answers_nobody(relay):
    relay.dead_letters.keep(DeadLetter("celery", "is not JSON", b"\xff\x00raw"))

    assert not answer_dead_letters(relay)
    [letter] = relay.dead_letters.newest()
    assert (letter["raw_base64"], letter["receipt_id"]) == ("/wByYXc=", None)
