"""RabbitMQ's answers to events that are on their way, whenever they are heard."""

from collections import defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest

from worker.relay.confirms import Confirms, Refused
from worker.store.outbox import Announcement


class Channel:
    """Answers what it is told to."""

    def __init__(self):
        self.events = defaultdict(set)
        self.connection = SimpleNamespace(drain_events=self.answer_all)
        self.sent = 0

    def confirm_select(self):
        """It is."""

    def answer(self, how, tag):
        for hear in self.events[how]:
            hear(tag, multiple=False)

    def answer_all(self, timeout):
        assert timeout > 0
        self.answer("basic_ack", self.sent)


@pytest.fixture
def channel():
    return Channel()


def event(receipt_id, sequence):
    return Announcement(sequence, uuid4(), receipt_id, sequence, "payconfirm.rejected", {}, datetime.now(UTC))


def test_a_refusal_heard_while_another_event_is_sent_holds_back_what_follows(channel):
    """
    py-amqp reads what has come before it sends: then the refused event is under way no more, and nothing is waited for.
    """
    confirms, taken, other = Confirms(channel), [], event("other", 1)
    confirms._at_once = 2
    confirms.before(event("r1", 1), taken)
    confirms.before(other, taken)
    channel.sent = 2
    channel.answer("basic_nack", 1)

    with pytest.raises(Refused):
        confirms.before(event("r1", 2), taken)

    assert taken == [other]


def test_the_next_event_of_a_receipt_waits_for_the_first(channel):
    confirms, taken, first = Confirms(channel), [], event("r1", 1)
    confirms._at_once = 2
    confirms.before(first, taken)
    channel.sent = 1

    confirms.before(event("r1", 2), taken)

    assert taken == [first]
