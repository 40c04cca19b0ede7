"""Who is at work: a worker with a message, or a person with an intention."""

from dataclasses import dataclass

from confirmation.answers import Answer
from confirmation.resolving import Word
from sandbox.simulation.fate import Fate


class Killed(BaseException):
    """The worker is no more, or the person has pressed Ctrl-C. No `except Exception` keeps it alive."""


@dataclass
class Run:
    """One run, from its message to its end, whatever that is."""

    number: int
    fate: Fate
    who: str = "worker"
    #: What a person says.
    word: Word | None = None
    #: What the gateway was last heard to say.
    heard: Answer | None = None
