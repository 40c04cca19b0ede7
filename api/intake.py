"""Taking a document in: the row first, then the message."""

import json
from dataclasses import dataclass
from typing import Any

from api.hosts import AllowedHosts
from api.sending import DUE_SECONDS, Outgoing
from confirmation.confirmation import Confirmation
from confirmation.events import result_document
from payconfirm import read_document
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
        document = read_document(body)
        self._hosts.check(document.callback_url)
        kept = self._ledger.keep(to_order(document), DUE_SECONDS)
        if kept.final:
            return self._ended(kept)
        if kept.attempts == 0:  # an open row that was claimed is due by itself
            self._outgoing.send(document.as_dict())
        return Taken(kept.receipt_id, final=False, body=as_json(result_document(kept)))

    def _ended(self, kept: Confirmation) -> Taken:
        """The same document after its end: the document that was announced, and stored again for those who poll."""
        self._ledger.tell_again(kept)
        announced = self._reading.result(kept.receipt_id) or result_document(kept)
        return Taken(kept.receipt_id, final=announced["final"], body=as_json(announced))


def as_json(document: dict[str, Any]) -> bytes:
    """Write a document as it goes over the wire."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
