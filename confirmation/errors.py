"""What may stop a run, sorted by what the caller does next.

    ConfirmationError
    ├── ClaimLost            stop; another worker may be on it
    ├── DifferentDocument    keep the message as a dead letter; nothing was changed
    ├── HookFailed           record it and try again later, or ask people; nothing was written
    ├── HookRefused          end it without the shop: no money moves, or it goes back; nothing was written
    ├── StoreBusy            park; nothing was written
    └── StoreUnavailable     wait with the message unacknowledged and try again

What the gateway says is never an error: it is an answer (`answers.py`), unclear ones included.
"""


class ConfirmationError(Exception):
    """Base of every error the rules raise on purpose."""


class ClaimLost(ConfirmationError):
    """This worker's claim is over: it changed nothing, and its step was recorded."""


class DifferentDocument(ConfirmationError):
    """The receipt is used by a different order document; nothing was changed."""


class HookFailed(ConfirmationError):
    """The shop's own part of a commit failed, its words are the message; nothing was written."""


class HookRefused(ConfirmationError):
    """The shop's own part of a commit says no, its words are the message; nothing was written."""


class StoreBusy(ConfirmationError):
    """The database kept the statement waiting longer than its own time-outs allow; nothing was written."""


class StoreUnavailable(ConfirmationError):
    """The database gave no answer; whether the last write happened is in the row."""
