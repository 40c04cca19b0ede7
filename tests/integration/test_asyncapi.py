"""The AsyncAPI document is what the code tells: of AsyncAPI's own shape, and true of the events that come out."""

import json
import warnings
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from kombu import Connection, Queue
from pydantic import ValidationError

from confirmation.events import EventType
from confirmation.states import Reason
from tests import ledgers
from worker.relay import asyncapi
from worker.relay.events import EXCHANGE, EventPublisher
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pydantic's, over a name of theirs
    from asyncapi3.models import AsyncAPI3

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads((ROOT / asyncapi.FILE).read_text())


def flaws(event):
    """What an event's own schema says about it, found by its routing key as a consumer would."""
    [channel] = [channel for channel in DOCUMENT["channels"].values() if channel["address"] == event["type"]]
    [reference] = channel["messages"].values()
    schema = at(at(reference["$ref"])["payload"]["$ref"])
    return [
        error.message for error in Draft7Validator(schema | {"components": DOCUMENT["components"]}).iter_errors(event)
    ]


def at(reference):
    found = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value):
    if isinstance(value, dict):
        here = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return here + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


def test_the_file_is_what_the_code_says():
    assert asyncapi.document() == DOCUMENT, "run python -m worker.relay.asyncapi"


def test_it_is_of_asyncapi_s_own_shape_and_every_reference_leads_somewhere():
    AsyncAPI3.model_validate(DOCUMENT)
    for reference in references(DOCUMENT):
        at(reference)


@pytest.mark.parametrize(
    ("where", "wrong"),
    [(("operations", "tell_voided", "action"), "publish"), (("channels", "voided", "adress"), "payconfirm.voided")],
)
def test_the_judge_of_the_shape_sees_a_mistake(where, wrong):
    broken = json.loads(json.dumps(DOCUMENT))
    *path, last = where
    part = broken
    for name in path:
        part = part[name]
    part[last] = wrong

    with pytest.raises(ValidationError):
        AsyncAPI3.model_validate(broken)


def test_every_kind_of_event_has_its_channel_its_operation_and_a_true_example():
    assert [channel["address"] for channel in DOCUMENT["channels"].values()] == [*EventType]
    assert len(DOCUMENT["operations"]) == len(EventType)
    for message in DOCUMENT["components"]["messages"].values():
        [example] = message["examples"]
        assert flaws(example["payload"]) == []


def test_events_from_the_exchange_are_as_described(engine, redis_url):
    ledger = Ledger(engine)
    ledgers.confirmed(ledger, ledgers.reserve(ledger, ledgers.claimed(ledger, ledgers.order("r1"))))
    ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order("r2")), Reason.PAYMENT_FAILED)
    with Connection(redis_url) as connection:
        queue = Queue("shop", EXCHANGE, routing_key="payconfirm.*")(connection.channel())
        queue.declare()
        publisher = EventPublisher(redis_url)
        publisher.publish(Outbox(engine).take_events(10))
        publisher.close()
        events = [json.loads(queue.get(no_ack=True).body) for _ in range(2)]

    assert [flaws(event) for event in events] == [[], []]
    assert flaws(events[0] | {"type": "payconfirm.rejected"}), "a confirmed document is no rejection"
    assert flaws(events[0] | {"sequence": 0})
