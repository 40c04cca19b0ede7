"""What must hold after every step, and what must hold once all is settled."""

from collections.abc import Iterable

from confirmation.answers import GatewayReceipt, Seen, see
from confirmation.confirmation import Confirmation
from confirmation.states import Reason, State
from sandbox.twins import TwinReceipt, Twins

#: Where the gateway's receipt says this, no machine can end a review.
FOR_PEOPLE = {
    Seen.PARTLY_CANCELLED,
    Seen.UNDOCUMENTED,
    Seen.CANCEL_FAILED,
    Seen.AWAITING_DEPOSIT,
    Seen.NOT_THERE,
    Seen.READY_OTHER_AMOUNT,
    Seen.NOT_A_PAYMENT,
    Seen.OTHER_ORDER,
}


class PromiseBroken(AssertionError):
    """A promise doesn't hold. The message says which, and tells the receipt's story."""


class Promises:
    """Holds the store against the gateway's ledger."""

    def __init__(self, twins: Twins, stock: dict[str, int]) -> None:
        self._store = twins.store
        self._gateway = twins.gateway
        self._put = stock
        #: Receipts whose money may move after the look that led to a no: only a late look can find that.
        self.excused: set[str] = set()
        self._events: dict[str, int] = {}
        self._event_ids: set[object] = set()
        self._order_paid_by: dict[str, str] = {}
        for sku, available in stock.items():
            twins.store.stock.put(sku, available)

    # After every step -------------------------------------------------------------------------------------------------

    def check(self, receipt_id: str) -> None:
        """Hold one receipt, as it stands this moment, against all that must always be true."""
        receipt = self._gateway.receipts.get(receipt_id)
        if receipt and receipt.charges > 1:
            _broken(f"charged {receipt.charges} times")
        row = self._store.rows.get(receipt_id)
        if row:
            self._check_stock(row.confirmation)
            self._check_events(row.confirmation)

    def moved(self, confirmation: Confirmation) -> None:
        """Hold a receipt that entered a state this moment against the gateway's truth, not by the rules' own eyes."""
        receipt = self._gateway.receipts.get(confirmation.receipt_id)
        if confirmation.state is State.CONFIRMED:
            self._check_paid(confirmation, receipt)
        told_no = confirmation.state is State.REJECTED and confirmation.reason is not Reason.ORDER_MISMATCH
        if told_no and receipt and receipt.taken and confirmation.receipt_id not in self.excused:
            _broken(f"said no ({confirmation.reason}), and the gateway keeps {receipt.taken}")

    def _check_paid(self, confirmation: Confirmation, receipt: TwinReceipt | None) -> None:
        order = confirmation.order
        paid = receipt and receipt.status == 1 and receipt.amount == order.amount and not receipt.cancelled
        if not paid or receipt is None or receipt.order_id != order.order_id:
            _broken(f"confirmed, and the gateway says: {receipt}")
        payer = self._order_paid_by.setdefault(order.order_id, order.receipt_id)
        if payer != order.receipt_id:
            _broken(f"{order.order_id} is paid twice: by {payer}, too")

    def _check_stock(self, confirmation: Confirmation) -> None:
        items = confirmation.order.items
        if not items:
            return
        state = self._store.stock.state(confirmation.receipt_id)
        if confirmation.holds_stock != (state == "held"):
            _broken(f"{confirmation.state}, and its stock is {state}")
        if (confirmation.state is State.CONFIRMED) != (state == "sold"):
            _broken(f"{confirmation.state}, and its stock is {state}")
        self._check_counts(items)

    def _check_counts(self, skus: Iterable[str]) -> None:
        for sku in skus:
            count = self._store.stock.counts.get(sku)
            if count and count.available != self._put[sku] - count.held - count.sold:
                _broken(f"stock doesn't add up: {sku} {count} of {self._put[sku]}")

    def _check_events(self, confirmation: Confirmation) -> None:
        outbox = self._store.outbox.get(confirmation.receipt_id, [])
        if len(outbox) != confirmation.sequence:
            _broken(f"sequence {confirmation.sequence} after {len(outbox)} events")
        known = self._events.get(confirmation.receipt_id, 0)
        for place, event in enumerate(outbox[known:], start=known + 1):
            if event.sequence != place or event.document["sequence"] != place or event.id in self._event_ids:
                _broken(f"event {event.id} has sequence {event.sequence} in place {place}")
            self._event_ids.add(event.id)
        self._events[confirmation.receipt_id] = len(outbox)
        if confirmation.final and outbox[-1].document["state"] != confirmation.state:
            _broken(f"{confirmation.state}, and last told was {outbox[-1].document['state']}")

    # Once all is settled ----------------------------------------------------------------------------------------------

    def settled(self, receipt_id: str) -> bool:
        """Say whether nothing will move it any more: it has ended, or only people can end it."""
        row = self._store.rows.get(receipt_id)
        if row is None:
            return True
        confirmation = row.confirmation
        if confirmation.state is State.REVIEW:
            # Looked at often enough that whatever was to be heard was heard.
            return confirmation.parks > 12 and self._is_for_people(confirmation)
        return confirmation.final and row.due_at is None

    def check_end(self, receipt_id: str) -> None:
        """Hold a settled receipt against the gateway's ledger."""
        self.check(receipt_id)
        confirmation = self._store.rows[receipt_id].confirmation
        receipt = self._gateway.receipts.get(receipt_id)
        taken = receipt.taken if receipt else 0
        if confirmation.reason is Reason.ORDER_MISMATCH:
            if receipt and receipt.cancels:
                _broken("another's money was touched")
        elif confirmation.state is State.CONFIRMED and taken != confirmation.order.amount.minor:
            _broken(f"confirmed, and the gateway keeps {taken}")
        elif confirmation.state in (State.REJECTED, State.VOIDED) and taken:
            _broken(f"{confirmation.state}, and the gateway keeps {taken}")

    def check_polled(self) -> None:
        """Hold all that was stored again against what was told first: one document for one sequence."""
        for told in self._store.told_again:
            first = self._store.outbox[told.document["receipt_id"]][told.sequence - 1]
            if told.document != first.document:
                _broken(f"{told.document['receipt_id']}: two documents have sequence {told.sequence}")

    def _is_for_people(self, confirmation: Confirmation) -> bool:
        truth = self._gateway.truth(confirmation.receipt_id)
        no_refund = isinstance(truth, GatewayReceipt) and truth.virtual_account
        return no_refund or see(truth, confirmation.order) in FOR_PEOPLE


def _broken(what: str) -> None:
    raise PromiseBroken(what)
