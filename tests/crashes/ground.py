"""The ground of these suites: a stage whose workers are forked, a wire to its gateway, and what the watched ones note.

A watched worker has a queue of its own. Once it is dead its messages are everybody's, as on the one queue that all
workers share otherwise.
"""

import itertools
import json
import threading
import time
from collections import deque
from contextlib import ExitStack, contextmanager

from kombu import Connection, Queue

from tests.crashes.ways import message, open_receipts
from tests.crashes.wire import wire_to
from tests.crashes.zygote import zygote
from tests.workers import PATIENCE_SECONDS, POLL_SECONDS, QUEUE, stage, until
from worker.relay.events import EXCHANGE

#: A lease that is over soon, with room for a call on a busy machine and the commit after it.
SHORT = {
    "STATEMENT_SECONDS": "2",
    "LOCK_SECONDS": "1",
    "LOOKUP_SECONDS": "3",
    "SUBMIT_SECONDS": "3",
    "LOOKUP_LEASE_SECONDS": "5",
    "SUBMIT_LEASE_SECONDS": "5",
}
LOOKUP_SECONDS, APPROVE_SECONDS = 0.02, 0.2
#: So many watched workers are on their way to their places at once.
AT_ONCE = 12
#: Each look at all of them costs the machine something, and they have seconds to go.
LOOK_AROUND_SECONDS = 0.5
#: A worker that hasn't come to its place by then never will.
ON_ITS_WAY_SECONDS = 60
#: What the names of watched workers' queues begin with.
WATCHED = "watched."
#: The queue that gets every event.
EVENTS = "crashes.events"


class Notes:
    """What those who are watched have written down: by name, the passages they came to and where they stopped."""

    def __init__(self, path):
        path.touch()
        self.path = path
        self._file = path.open()
        self._rest = ""
        self._lock = threading.Lock()
        self.passed = {}
        self.reached = {}

    def write(self, **note):
        """Note something in place of somebody who can't any more."""
        with self.path.open("a") as file:
            file.write(f"{json.dumps(note)}\n")

    def read(self):
        """Read what is new."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            note = json.loads(line)
            if "passed" in note:
                self.passed.setdefault(note["who"], []).append((note["passed"], note["statements"]))
            if "reached" in note:
                self.reached[note["who"]] = note["reached"]

    def has_passed(self, who, passage="ack"):
        """Whether it has passed this, or come to the end of its message."""
        self.read()
        return any(name == passage for name, _ in self.passed.get(who, []))

    def close(self):
        self._file.close()


class Ground:
    """Starts workers and relays, watched or not."""

    def __init__(self, house, wire, forks, notes):
        self.house, self.wire, self.notes = house, wire, notes
        self._forks = forks
        self._events = []
        self._numbers = itertools.count(1)
        self.environment = house.environment | {"BOOTPAY_URL": wire.url}
        house.redis.delete(EVENTS)
        with Connection(house.redis_url) as connection:
            Queue(EVENTS, EXCHANGE, routing_key="payconfirm.*")(connection.channel()).declare()

    def open_receipts(self, ways):
        """Open a receipt of each way. The late ones are rejected by a worker, and paid after that."""
        receipts = open_receipts(self.house, [(next(self._numbers), way) for way in ways])
        late = [receipt for receipt in receipts if receipt.way.late]
        if late:
            self.house.push(*map(message, late))
            until(lambda: {self.house.states().get(receipt.id) for receipt in late} == {"rejected"})
        for receipt in late:
            self.house.control("PATCH", f"/sandbox/receipts/{receipt.id}", {"status": 1})
        return receipts

    def message(self, receipt, *, again=False):
        """The message that sends a worker on this receipt's way: the producer's, or the sweep's."""
        statement = "SELECT fence FROM payconfirm.confirmations WHERE receipt_id = :receipt_id"
        known = self.house.ask(statement, receipt_id=receipt.id) if again or receipt.way.late else []
        return message(receipt, *(row.fence for row in known))

    def start(self, line, **variables):
        """Fork a line of the Procfile."""
        words = self.house.lines[line]
        return self._forks.fork(f"{line}-{next(self._numbers)}", words, self.environment | variables)

    def watch(self, who, receipt, at=None, *, messages=(), app="watched", **variables):
        """Fork a worker that carries one receipt, and stops at one place: [passage, moment, the nth time]."""
        queue = queue_of(receipt)
        self.house.redis.lpush(queue, *(messages or [self.message(receipt)]))
        told = {"who": who, "notes": str(self.notes.path), "at": at}
        variables |= {"WATCH": json.dumps(told), "QUEUE": queue, "WORKER_CONCURRENCY": "1"}
        words = self.house.lines["worker"]
        words = [app if word == "worker.app" else word for word in words]
        words[words.index("--queues") + 1] = queue
        worker = self._forks.fork(f"{queue}-{next(self._numbers)}", words, self.environment | variables)
        if at and at[1] in ("working", "acted"):
            self.wire.when(receipt.id, at[0], at[2], at[1], lambda: self._stop(who, worker, at))
        return worker

    def _stop(self, who, worker, at):
        """Stop it from outside, in the middle of its call."""
        worker.stop()
        self.notes.write(who=who, reached=at)

    def at_their_places(self, cases, start):
        """Send a worker on its way for each case; give case, worker and whether it came to its place, one by one."""
        waiting, moving = deque(cases), {}
        while waiting or moving:
            while waiting and len(moving) < AT_ONCE:
                case = waiting.popleft()
                moving[case] = (start(case), time.monotonic() + ON_ITS_WAY_SECONDS)
            self.notes.read()
            for case, (worker, ends_at) in [*moving.items()]:
                came = str(case) in self.notes.reached
                if came or time.monotonic() > ends_at:
                    del moving[case]
                    yield case, worker, came
            time.sleep(POLL_SECONDS)

    def inherit(self):
        """Give what is on dead workers' queues to the others."""
        for queue in self.house.redis.scan_iter(f"{WATCHED}*", count=1000):
            while self.house.redis.lmove(queue, QUEUE, "RIGHT", "LEFT"):
                pass

    def wait_for_all(self, receipts):
        """Let the others finish all that the dead have left, as far as they can."""
        ends_at = time.monotonic() + 3 * PATIENCE_SECONDS
        while time.monotonic() < ends_at:
            self.inherit()
            states = self.house.states()
            ended = all(states.get(receipt.id) == receipt.way.state for receipt in receipts)
            if ended and not self.house.left_over() and not self.untold():
                return
            time.sleep(LOOK_AROUND_SECONDS)

    def events(self):
        """Every event that was published so far, in the order in which they came."""
        with Connection(self.house.redis_url) as connection:
            queue = Queue(EVENTS, EXCHANGE)(connection.channel())
            while got := queue.get(no_ack=True):
                self._events.append(json.loads(got.body))
        return [*self._events]

    def untold(self):
        """What the relay still has to carry out."""
        return self.house.ask("SELECT FROM payconfirm.outbox WHERE published_at IS NULL OR result_due")


def queue_of(receipt):
    return f"{WATCHED}{receipt.sku}"


def came_true(condition):
    """Wait for a condition; say whether it came true before patience ended."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < ends_at:
        time.sleep(POLL_SECONDS)
    return bool(condition())


@contextmanager
def ground(servers, template_database, folder, **variables):
    with ExitStack() as stack:
        house = stack.enter_context(stage(servers, template_database, folder, **variables))
        house.start_gateway(LOOKUP_SECONDS, APPROVE_SECONDS)
        wire = stack.enter_context(wire_to(house._gateway_url))
        forks = stack.enter_context(zygote(folder))
        notes = Notes(folder / "notes")
        stack.callback(notes.close)
        yield Ground(house, wire, forks, notes)
