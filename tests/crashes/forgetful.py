"""The worker, in which everything that would keep a message fails in a way that nobody foresaw."""

from worker.app import app
from worker.store.dead_letters import DeadLetters
from worker.store.ledger import Ledger

__all__ = ["app"]


def fail(*_, **__):
    raise OverflowError("nobody foresaw this")


Ledger.keep = Ledger.claim = DeadLetters.keep = fail
