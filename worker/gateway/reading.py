"""The one point where what the gateway said over HTTP becomes an answer."""

from dataclasses import dataclass
from enum import Enum, auto

from confirmation.answers import Absent, Answer, Cancelled, Refused, Silence
from worker.gateway import fields
from worker.gateway.dialect import Dialect, Said
from worker.gateway.fields import OddAnswer

_UNKNOWN = "not the answer we know"


class Kind(Enum):
    """What was asked of the gateway."""

    LOOK_UP = auto()
    SUBMIT = auto()
    CANCEL = auto()


@dataclass(frozen=True)
class Asked:
    """A call and the receipt that it was about."""

    kind: Kind
    receipt_id: str


def read(said: Said, asked: Asked, dialect: Dialect) -> Answer:
    """Say what was answered. What isn't clearly a yes or a no is silence, of a call that has come to its end."""
    if said.data is not None:
        return _read_yes(said.data, asked, dialect)
    if said.code and said.code not in dialect.unclear and said.status in dialect.refusing:
        return _read_no(said, asked, dialect)
    return silence(said)


def silence(said: Said) -> Silence:
    """Say that this answer is no word about the receipt."""
    why = f"{said.status} {said.code}".strip() if said.code or said.status != 200 else _UNKNOWN
    # A proxy that gave up waiting doesn't know whether those behind it are still at work.
    return Silence(why, ended=said.status != 504, retry_after_seconds=said.retry_after_seconds)


def _read_yes(data: fields.Document, asked: Asked, dialect: Dialect) -> Answer:
    try:
        if fields.text(data, "receipt_id") != asked.receipt_id:
            return Silence("an answer about another receipt", ended=True)
        return dialect.cancellation(data) if asked.kind is Kind.CANCEL else dialect.receipt(data)
    except OddAnswer as odd:
        return Silence(f"{_UNKNOWN}: {odd}", ended=True)


def _read_no(said: Said, asked: Asked, dialect: Dialect) -> Answer:
    match asked.kind:
        case Kind.LOOK_UP if said.status == 404 or said.code in dialect.absent:
            return Absent(said.message)
        case Kind.LOOK_UP:
            return silence(said)
        case Kind.CANCEL if dialect.already_cancelled(said):
            return Cancelled(said.message, already=True)
        case _:
            return Refused(
                said.code, said.message, explicit=asked.kind is Kind.SUBMIT and said.code in dialect.declined
            )
