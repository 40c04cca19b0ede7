"""How a task waits for the database: its message unacknowledged, until it is there or the process ends."""

import time
from collections.abc import Callable

import structlog
from celery.exceptions import Reject
from celery.signals import worker_shutting_down

from confirmation.errors import StoreBusy, StoreUnavailable

log = structlog.get_logger(__name__)

#: While the database is away a task asks again this often.
ASK_AGAIN_SECONDS = 0.5

_ending = False


@worker_shutting_down.connect
def _end(**_: object) -> None:
    """Let tasks that wait for the database give their messages back."""
    global _ending  # noqa: PLW0603 — one flag of the process
    _ending = True


def patiently(run: Callable[[], object]) -> object:
    """Do it once the database is there. Ending meanwhile, give the message back.

    Raises nothing but `Exception`: for anything else Celery would leave the message lying, and the thread unused.
    """
    told = False
    while True:
        try:
            return run()
        except (StoreBusy, StoreUnavailable) as error:
            if not told:
                log.warning("store.away", error=str(error))
            told = True
            if _ending:
                raise Reject("the worker is ending", requeue=True) from error
            time.sleep(ASK_AGAIN_SECONDS)
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(f"something raised {type(error).__name__}") from error


def or_give_up(keep: Callable[[], object]) -> None:
    """Keep a message that nobody can use; where that fails, too, have the broker give it up to the relay.

    Celery acknowledges what fails: without that nothing would be left of it.
    """
    try:
        patiently(keep)
    except Reject:
        raise
    except Exception as error:
        log.error("message.not_kept", error=type(error).__name__)  # noqa: TRY400 — its text may repeat the message
        raise Reject("it can't be kept here", requeue=False) from error
