"""What goes wrong with calls of the gateway, as a story draws it."""

from collections.abc import Callable
from random import Random

from confirmation.answers import Answer, Refused, Silence
from sandbox.twins import Fault

IN_FLIGHT = {"v1": 3, "v2": 4}
#: A submit whose call has ended is to be seen within less than the rules' 3 s between two looks.
HIDDEN_SECONDS = 2.8
#: One that was given up may be at work until its lease ends, at least this long after it began.
HIDDEN_UNENDED_SECONDS = 11.5


def some(random: Random, chance: float, fault: Callable[[], Fault]) -> list[Fault]:
    """Give a few of these, or none."""
    return [fault() for _ in range(random.randint(1, 3))] if random.random() < chance else []


def soon_or_late(random: Random, long_seconds: float) -> float:
    """Mostly soon; now and then only when the deadline is past."""
    return long_seconds if random.random() < 0.12 else random.uniform(1, 8)


def submit_fault(random: Random, api: str, long_seconds: float) -> Fault:
    """A submit that acts or not, whatever it answers, and may stay hidden or in flight for a while."""
    answer = _no(random)
    acts = random.random() < 0.5
    ended = not isinstance(answer, Silence) or answer.ended
    if random.random() < 0.15:
        seconds = soon_or_late(random, long_seconds)
        return Fault(answer, acts=acts, shows=IN_FLIGHT[api], shows_seconds=seconds)
    if not acts:
        return Fault(answer, acts=False)
    hidden = random.uniform(0, HIDDEN_SECONDS if ended else HIDDEN_UNENDED_SECONDS)
    return Fault(answer, shows=2, shows_seconds=hidden)


def _no(random: Random) -> Answer:
    """Anything but a clear yes."""
    return random.choice(
        (
            Silence("timeout"),
            Silence("connection reset"),
            Silence("http 502", ended=True),
            Silence("http 429", ended=True, retry_after_seconds=2),
            Refused("-1001", "try again"),
            Refused("-1002", "the card company is away"),
        )
    )


def look_up_faults(random: Random) -> list[Fault]:
    """Give look-ups without a word, at first or after a few good ones."""
    kind = random.random()
    if kind > 0.12:
        return []
    # Some are silent until the deadline is past.
    many = 30 if kind < 0.003 else random.randint(1, 4)
    return [Fault()] * random.randint(0, 3) + [Fault(Silence("http 500", ended=True))] * many


def cancel_fault(random: Random, refused: float) -> Fault:
    """Give a cancel that is refused, as often as this, or whose answer is lost, whatever it did."""
    if random.random() < refused:
        return Fault(Refused("RC_CANCEL_LATER"), acts=False)
    return Fault(Silence("timeout"), acts=random.random() < 0.5)
