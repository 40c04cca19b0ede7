"""Taking a document in: the row first, then the message."""

import json
from dataclasses import dataclass

from api.answers import as_json
from api.sending import DUE_SECONDS, Outgoing
from confirmation.confirmation import Confirmation
from confirmation.events import result_document
from payconfirm import InvalidOrder, OrderDocument, read_document
from payconfirm.errors import FieldError
from worker.callbacks.hosts import AllowedHosts
from worker.orders import to_order
from worker.store.ledger import Ledger
from worker.store.reading import Reading


@dataclass(frozen=True)
class Taken:
    """A document that the database has."""

    receipt_id: str
    final: bool
    body: bytes


class Intake:
    """Makes rows out of documents. Blocks while the database works."""

    def __init__(self, ledger: Ledger, reading: Reading, hosts: AllowedHosts, outgoing: Outgoing) -> None:
        self._ledger = ledger
        self._reading = reading
        self._hosts = hosts
        self._outgoing = outgoing

    def take(self, body: bytes) -> Taken:
        """Make sure that the document's row exists, and say how it stands.

        Raises `InvalidOrder` and `DifferentDocument`: nothing was changed; `StoreBusy` and `StoreUnavailable`: the same
        document may be sent again.
        """
        document = self._read(body)
        kept = self._ledger.keep(to_order(document), DUE_SECONDS)
        if kept.final:
            return self._ended(kept)
        if kept.attempts == 0:  # an open row that was claimed is due by itself
            self._outgoing.send(document.as_dict())
        return Taken(kept.receipt_id, final=False, body=as_json(result_document(kept)))

    def _read(self, body: bytes) -> OrderDocument:
        """Read the document. Raises `InvalidOrder` with all that is wrong, the callback's host included."""
        try:
            document = read_document(body)
        except InvalidOrder as invalid:
            flaw = self._hosts.flaw(_callback_url(body, invalid))
            raise InvalidOrder.of([*invalid.errors, *_callback(flaw)]) from None
        if flaw := self._hosts.flaw(document.callback_url):
            raise InvalidOrder.of(_callback(flaw))
        return document

    def _ended(self, kept: Confirmation) -> Taken:
        """The same document after its end: the document that was announced, and stored again for those who poll."""
        self._ledger.tell_again(kept)
        announced = self._reading.result(kept.receipt_id) or result_document(kept)
        return Taken(kept.receipt_id, final=announced["final"], body=as_json(announced))


def _callback(flaw: str | None) -> list[FieldError]:
    return [{"field": "callback_url", "message": flaw}] if flaw else []


def _callback_url(body: bytes, invalid: InvalidOrder) -> str | None:
    """The address of a document that is otherwise invalid; None where its shape is among what is wrong."""
    if {error["field"] for error in invalid.errors} & {"document", "callback_url"}:
        return None
    url = json.loads(body, parse_int=str).get("callback_url")  # a number may have more digits than Python reads
    return url if isinstance(url, str) else None
