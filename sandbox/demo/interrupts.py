"""Ctrl-C, noted when it comes and heeded where it is safe.

An exception that a signal's handler raises lands wherever Python happens to be, and in a destructor it is printed and
lost. So the handler only notes; every wait of the demo heeds, and a clean-up, which never does, can't be interrupted.
"""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_noted: list[int] = []


class Interrupted(Exception):
    """Somebody wants it to stop."""


def note_interrupts() -> None:
    """From now on note Ctrl-C and its like, instead of being ended by them."""
    for number in SIGNALS:
        signal.signal(number, lambda number, _: _noted.append(number))


def interrupted() -> bool:
    """Say whether one has come."""
    return bool(_noted)


def heed() -> None:
    """Raise `Interrupted` if one has come. Every wait calls this several times a second."""
    if _noted:
        raise Interrupted
