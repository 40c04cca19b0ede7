"""The producer's client: enqueue an order document, get its result."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from payconfirm.document import OrderDocument, read_document
from payconfirm.errors import InvalidOrder, ResultsUnavailable
from payconfirm.publishing import Broker
from payconfirm.reading import Results
from payconfirm.result import ResultDocument

#: How long `wait` waits unless told otherwise: what a person in front of a page bears.
DEFAULT_WAIT_SECONDS = 30.0

#: How long another document's result may stand where this one's is waited for, and how often it is read meanwhile.
OTHERS_SECONDS, OTHERS_AGAIN_SECONDS = 5.0, 0.25


@dataclass(frozen=True)
class Ticket:
    """The broker's word that it has the document: the receipt and the Celery task that carries it."""

    receipt_id: str
    task_id: str
    _order: OrderDocument = field(repr=False)
    _client: "Client" = field(repr=False, compare=False)
    _sent_at: datetime = field(repr=False, compare=False)

    def result(self) -> ResultDocument | None:
        """Give the result document, or None as long as nothing is final.

        Raises `InvalidOrder` when the receipt is used by a different document: its result is not this order's.
        """
        found = self._client.result(self.receipt_id, since=self._sent_at)
        return None if found is None else self._own(found)

    def wait(self, timeout: float = DEFAULT_WAIT_SECONDS) -> ResultDocument:
        """Give the result document as soon as it is final, or raise `NotFinal` after `timeout` seconds.

        Raises `InvalidOrder` as `result` does, once another document's result has stood there for a few seconds: the
        receipt of a document that was never its order's may be taken over, and the old result goes a moment later.
        """
        ends_at = time.monotonic() + timeout
        others_end = min(ends_at, time.monotonic() + OTHERS_SECONDS)
        while True:
            left = max(ends_at - time.monotonic(), 0)
            found = self._client.wait(self.receipt_id, left, since=self._sent_at)
            if self._is_own(found) or time.monotonic() >= others_end:
                return self._own(found)
            time.sleep(OTHERS_AGAIN_SECONDS)

    def _is_own(self, result: ResultDocument) -> bool:
        told = (result["order_id"], result["amount"], result["currency"])
        return told == (self._order.order_id, self._order.amount, self._order.currency)

    def _own(self, result: ResultDocument) -> ResultDocument:
        if not self._is_own(result):
            message = f"is used by a different document, for order {result['order_id']}"
            raise InvalidOrder.of([{"field": "receipt_id", "message": message}])
        return result


class Client:
    """Hands order documents to payconfirm and reads their results. Threads may share one; nothing connects before use.

    A process that forks makes its client after the fork, as with every connection.
    """

    def __init__(self, broker: Broker, results: Results | None) -> None:
        self._broker = broker
        self._results = results

    @classmethod
    def from_url(
        cls,
        broker_url: str,
        result_url: str | None = None,
        *,
        transport_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Build a client. A Redis broker's results are read from the same Redis unless `result_url` says otherwise.

        Redis behind Sentinels is `sentinel://:password@one:26379,two:26379/0?master_name=…`, here and there.
        `transport_options` are kombu's own.
        """
        if result_url is None and broker_url.startswith(("redis://", "rediss://", "sentinel://")):
            result_url = broker_url
        master_name = (transport_options or {}).get("master_name")
        return cls(Broker(broker_url, transport_options), Results(result_url, master_name) if result_url else None)

    def enqueue(self, document: Mapping[str, Any] | OrderDocument | str | bytes) -> Ticket:
        """Return once the broker has the document. Enqueuing the same document again is the same job.

        Raises `InvalidOrder` before anything is sent, `BrokerUnavailable` when the broker didn't say yes.
        """
        order, sent_at = read_document(document), datetime.now(UTC)
        return Ticket(order.receipt_id, self._broker.send(order.as_dict()), order, self, sent_at)

    def result(self, receipt_id: str, *, since: datetime | None = None) -> ResultDocument | None:
        """Give the result document, or None as long as nothing is final.

        Raises `InvalidOrder` when what was enqueued could not be read as an order; not for one refused before `since`,
        which a corrected one has followed.
        """
        return self._result_store().read(receipt_id, since)

    def wait(
        self, receipt_id: str, timeout: float = DEFAULT_WAIT_SECONDS, *, since: datetime | None = None
    ) -> ResultDocument:
        """Give the result document as soon as it is final, or raise `NotFinal` after `timeout` seconds.

        Raises `InvalidOrder` as `result` does.
        """
        return self._result_store().wait(receipt_id, timeout, since)

    def close(self) -> None:
        """Close every connection; the client is not used again."""
        self._broker.close()
        if self._results is not None:
            self._results.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result_store(self) -> Results:
        if self._results is None:
            raise ResultsUnavailable("this client was built without result_url")
        return self._results
