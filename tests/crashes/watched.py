"""The tests' own bootstrap of a worker: it can be killed, or stopped and woken, at any passage.

It is `worker.bootstrap` with each port of `World` wrapped. Every call of a port is a passage, whatever it is called, so
a commit that is new shows up by itself. UNFENCED and HASTY take a guard away, for the controls.
"""

import itertools
import os
import select
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from kombu import Exchange, Queue
from kombu.message import Message
from sqlalchemy import Engine, event
from watch import Watch

from confirmation import phases, pipeline
from confirmation.states import State
from worker import app as worker_app
from worker import bootstrap
from worker.broker import transport
from worker.gateway.call import Call
from worker.gateway.connections import _Reader
from worker.store import ledger

watch = Watch()
statements = itertools.count()


@contextmanager
def passage(name):
    began = next(statements)
    watch.come_to(name, "before")
    yield
    watch.note(passed=name, statements=next(statements) - began - 1)
    watch.come_to(name, "after")


class Watched:
    """A port, with every call of it a passage."""

    def __init__(self, port):
        self._port = port
        self.calling = None

    def __getattr__(self, name):
        call = getattr(self._port, name)

        def passed(*arguments, **named):
            self.calling = named_after(name, arguments)
            with passage(self.calling):
                return call(*arguments, **named)

        return passed


def named_after(call, arguments):
    """A write is named after what was decided: `write:commit`."""
    if call != "write":
        return call
    decided = arguments[0].step.decided.partition(":")[0]
    return f"write:{decided.replace(' ', '_')}"


def build_worker(settings):
    parts = build(settings)
    world = parts.world
    gateway, store = Watched(world.gateway), Watched(world.store)
    watch_the_wire(gateway)
    budget = after_a_wait if "WAITS" in os.environ else world.budget
    return replace(
        parts, world=replace(world, store=store, gateway=gateway, lock=lock_watched(world.lock), budget=budget)
    )


def lock_watched(lock):
    @contextmanager
    def locked(receipt_id):
        with ExitStack() as stack:
            with passage("lock"):
                held = stack.enter_context(lock(receipt_id))
            yield held

    return locked


def watch_the_wire(gateway):
    """Inside a call: its first byte is about to be sent; its answer is there, and nothing of it was read."""
    begin, read = Call.begin_to_send, _Reader.readinto

    def begin_to_send(call):
        first = not call.sent
        begin(call)
        if first:
            watch.come_to(gateway.calling, "first byte")

    def readinto(reader, buffer):
        if not hasattr(reader, "there"):
            select.select([reader._sock], [], [])
            reader.there = True
            watch.come_to(gateway.calling, "unread")
        return read(reader, buffer)

    Call.begin_to_send, _Reader.readinto = begin_to_send, readinto


def acknowledge(*arguments, **named):
    with passage("ack"):
        ack(*arguments, **named)


def after_a_wait(*, urgent):
    """Grant the call as a busy budget does: late enough for the lease to be renewed before it."""
    time.sleep(phases.MOST_WAITED_SECONDS + 0.1)
    return urgent


def submit_at_once(confirmation, world):
    """Submit without a look at what became of the last submit."""
    return phases.submit(replace(confirmation, hold=replace(confirmation.hold, may_submit=True)), world)


def without_fence(statement):
    fenced = "c.fence = CAST(:fence AS uuid) AND c.state = :from_state"
    return statement.replace(fenced, f"({fenced} OR true)")


build, bootstrap.build_worker = bootstrap.build_worker, build_worker
rabbitmq = os.environ.get("BROKER_URL", "").startswith("amqp")
acknowledging = Message if rabbitmq else transport.QoS
ack, acknowledging.ack = acknowledging.ack, acknowledge
event.listen(Engine, "before_cursor_execute", lambda *_: next(statements))
if "HASTY" in os.environ:
    pipeline.PHASES[State.SUBMITTING] = submit_at_once
if "UNFENCED" in os.environ:
    ledger._BY_STOCK = {stock: without_fence(statement) for stock, statement in ledger._BY_STOCK.items()}

app = worker_app.app
queue = os.environ["QUEUE"]  # its messages are its own
app.conf.task_queues = [
    Queue(queue, routing_key=queue, queue_arguments={"x-queue-type": "quorum"}, no_declare=True)
    if rabbitmq
    else Queue(queue, Exchange(queue, type="direct"), routing_key=queue)
]
