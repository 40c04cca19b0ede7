"""A storm: messages come steadily while workers are killed at random moments, and others take their place."""

import base64
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payconfirm import Client
from tests.crashes.zygote import Forked, Zygote
from tests.workers import PATIENCE_SECONDS, Stage, until

#: How many messages come a second: few, since others need the machine as well.
PER_SECOND = 12
WORKERS = 2
#: Every so many messages one is sent twice, and one comes that nobody can use.
TWICE_EVERY, BAD_EVERY = 5, 20


@dataclass(frozen=True)
class Storm:
    """How one goes: the same kills from the same seed, as far as the machine keeps pace."""

    seed: int
    #: How long messages come.
    seconds: int
    #: How long nobody is killed then, and for how long before the end: what the last one held is back by then.
    peace_seconds: tuple[float, float]
    last_peace_seconds: float

    def documents(self, house: Stage) -> list[dict[str, Any]]:
        return house.open_receipts(self.seconds * PER_SECOND)

    def rage(
        self,
        house: Stage,
        forks: Zygote,
        client: Client,
        documents: Sequence[Mapping[str, Any]],
        send_bad: Callable[[bytes], None],
    ) -> int:
        """Send these documents, and `bad_messages` between them, while it lasts; say how many were killed."""
        chance, kills = random.Random(self.seed), 0
        names = (f"worker-{number}" for number in itertools.count(1))

        def fork() -> Forked:
            return forks.fork(next(names), house.lines["worker"], house.environment)

        workers = [fork() for _ in range(WORKERS)]
        until(lambda: all(worker.is_ready for worker in workers))
        bad = iter(bad_messages(documents))
        began = time.monotonic()
        kill_at = began + chance.uniform(*self.peace_seconds)
        for number, document in enumerate(documents):
            pause_until(began + number / PER_SECOND)
            client.enqueue(document)
            if number % TWICE_EVERY == 0:
                client.enqueue(document)
            if number % BAD_EVERY == 0:
                send_bad(next(bad))
            awake = [number for number, worker in enumerate(workers) if worker.is_ready]
            if awake and kill_at < time.monotonic() < began + self.seconds - self.last_peace_seconds:
                chosen = chance.choice(awake)
                workers[chosen].kill()
                workers[chosen] = fork()
                kill_at, kills = time.monotonic() + chance.uniform(*self.peace_seconds), kills + 1
        return kills


def bad_messages(documents: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """What nobody can use, and comes between these documents."""
    return [f"bad message {number}".encode() for number in range(0, len(documents), BAD_EVERY)]


def assert_nothing_was_lost(house: Stage, documents: Sequence[Mapping[str, Any]]) -> None:
    """Every receipt was charged once, what nobody could use is kept, and the audit finds nothing."""
    assert set(house.charges().values()) == {1}
    assert {base64.b64decode(letter["raw_base64"]) for letter in house.letters.newest()} == set(bad_messages(documents))
    audit = house.start("audit", ["python", "-m", "worker", "audit"])
    assert audit.wait(PATIENCE_SECONDS) == 0, audit.said


def pause_until(moment: float) -> None:
    """Keep the pace of the sender; nothing is waited for."""
    time.sleep(max(0.0, moment - time.monotonic()))
