"""The worker, ended by the kernel as soon as it is handed a message with POISON in it; it is missed sooner, too."""

import os
import signal

from worker.app import app
from worker.broker import transport

__all__ = ["app"]

POISON = b"poison"

envelope = transport.envelope


def deadly(item, tag, queue):
    if POISON in item:
        os.kill(os.getpid(), signal.SIGKILL)
    return envelope(item, tag, queue)


transport.envelope = deadly
transport.ALIVE_SECONDS = 2
