"""What must hold after every step, and what must hold once all is settled."""

from collections import Counter
from collections.abc import Iterable

from confirmation.answers import GatewayReceipt, Seen, see
from confirmation.confirmation import Confirmation
from confirmation.events import EventType
from confirmation.hooks import Method
from confirmation.order import Order
from confirmation.states import Reason, State
from sandbox.simulation.broken import PromiseBroken
from sandbox.simulation.runs import Run
from sandbox.simulation.turns import Turns
from sandbox.twins import TwinReceipt, Twins, TwinShop

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
#: A gateway that says one of these of this very order leaves nothing to a person's word: paid, cancelled, failed, or
#: on its way to one of them.
CLEAR = {"v1": {1, 20, -1, -2, -3, 3, -30}, "v2": {1, 20, -2, -3, -4, 4}}


class Promises:
    """Holds the store against the gateway's ledger, the shelves and the shop's own tables."""

    def __init__(self, twins: Twins, stock: dict[str, int], shop: TwinShop | None) -> None:
        self._store = twins.store
        self._gateway = twins.gateway
        self._shop = shop
        self._put = stock
        #: Receipts whose money may move after the look that led to a no: only a late look can find that.
        self.excused: set[str] = set()
        self.turns = Turns(twins, self.excused)
        #: How often the gateway's side cancelled each receipt while it was confirmed.
        self.cancelled_elsewhere: Counter[str] = Counter()
        self._events: dict[str, int] = {}
        self._event_ids: set[object] = set()
        self._checked: dict[str, Confirmation] = {}
        self._order_paid_by: dict[str, str] = {}
        #: Ended by a person's word where the gateway had none.
        self._by_word: set[str] = set()
        #: Voided by a person after it was sold, who didn't want it on the shelf again.
        self._stays_sold: set[str] = set()
        for sku, available in stock.items():
            twins.store.stock.put(sku, available)

    # After every step -------------------------------------------------------------------------------------------------

    def check(self, receipt_id: str) -> None:
        """Hold one receipt, as it stands this moment, against all that must always be true."""
        receipt = self._gateway.receipts.get(receipt_id)
        if receipt and receipt.charges > 1:
            raise PromiseBroken(f"charged {receipt.charges} times")
        if receipt and receipt.cancelled and receipt.taken < 0:
            raise PromiseBroken("more went back than was taken", receipt)
        row = self._store.rows.get(receipt_id)
        if row and self._checked.get(receipt_id) is not row.confirmation:
            self._checked[receipt_id] = row.confirmation
            self._check_stock(row.confirmation)
            self._check_events(row.confirmation)
            self._check_shop(row.confirmation)

    def moved(self, confirmation: Confirmation, run: Run, *, by_person: bool) -> None:
        """Hold a receipt that entered a state this moment against the gateway's truth, not by the rules' own eyes."""
        receipt = self._gateway.receipts.get(confirmation.receipt_id)
        self._by_word.discard(confirmation.receipt_id)
        if by_person and confirmation.final:
            self._check_word(confirmation, run)
        elif confirmation.state is State.CONFIRMED:
            self._check_paid(confirmation, receipt)
        elif confirmation.final and confirmation.reason is not Reason.ORDER_MISMATCH:
            self._check_no(confirmation, receipt)
        if confirmation.state is State.CONFIRMED:
            self._check_payer(confirmation.order)

    def voided(self, receipt_id: str, was: State, *, restock: bool) -> None:
        """Know that a person has voided it: what is to become of its order and its items."""
        self.turns.leased(receipt_id, None)
        self._by_word.discard(receipt_id)
        order = self._store.rows[receipt_id].confirmation.order
        if self._order_paid_by.get(order.order_id) == receipt_id:
            del self._order_paid_by[order.order_id]
        if restock:
            self._stays_sold.discard(receipt_id)
        elif was is State.CONFIRMED:
            self._stays_sold.add(receipt_id)

    def _check_paid(self, confirmation: Confirmation, receipt: TwinReceipt | None) -> None:
        order = confirmation.order
        paid = receipt and receipt.status == 1 and receipt.amount == order.amount and not receipt.cancelled
        if not paid or receipt is None or receipt.order_id != order.order_id:
            raise PromiseBroken("confirmed, and the gateway says otherwise", receipt)

    def _check_no(self, confirmation: Confirmation, receipt: TwinReceipt | None) -> None:
        excused = confirmation.state is State.REJECTED and confirmation.receipt_id in self.excused
        if receipt and receipt.taken and not excused:
            said = f"{confirmation.state}, {confirmation.reason}"
            raise PromiseBroken("said no, and the gateway keeps the money", f"{said}; {receipt.taken}")

    def _check_word(self, confirmation: Confirmation, run: Run) -> None:
        """A person's word counts only with force, and only where the gateway's last one left it open."""
        self._by_word.add(confirmation.receipt_id)
        word, heard = run.word, run.heard
        if word is None or not word.force or word.state is not confirmation.state or heard is None:
            raise PromiseBroken("ended by a person who didn't say so", word)
        if isinstance(heard, GatewayReceipt) and _is_clear(heard, confirmation.order):
            raise PromiseBroken("a person's word went before the gateway's", heard)

    def _check_payer(self, order: Order) -> None:
        payer = self._order_paid_by.setdefault(order.order_id, order.receipt_id)
        if payer != order.receipt_id:
            raise PromiseBroken("an order is paid twice", f"{order.order_id}, by {payer}, too")

    def _check_stock(self, confirmation: Confirmation) -> None:
        items = confirmation.order.items
        if not items:
            return
        state = self._store.stock.state(confirmation.receipt_id)
        if confirmation.state is State.CONFIRMED or confirmation.receipt_id in self._stays_sold:
            wrong = state != "sold"
        else:
            wrong = (state == "held") != confirmation.holds_stock or state == "sold"
        if wrong:
            raise PromiseBroken("the stock isn't where the state says", f"{confirmation.state}, {state}")
        self._check_counts(items)

    def _check_counts(self, skus: Iterable[str]) -> None:
        for sku in skus:
            count = self._store.stock.counts.get(sku)
            if count is None:
                continue
            if count.available < 0:
                raise PromiseBroken("oversold", f"{sku} {count}")
            if count.available != self._put[sku] - count.held - count.sold:
                raise PromiseBroken("the stock doesn't add up", f"{sku} {count} of {self._put[sku]}")

    def _check_events(self, confirmation: Confirmation) -> None:
        outbox = self._store.outbox.get(confirmation.receipt_id, [])
        if len(outbox) != confirmation.sequence:
            raise PromiseBroken("not every event is told once", f"{len(outbox)}, sequence {confirmation.sequence}")
        known = self._events.get(confirmation.receipt_id, 0)
        if known == len(outbox):
            return
        for place, event in enumerate(outbox[known:], start=known + 1):
            if event.sequence != place or event.document["sequence"] != place or event.id in self._event_ids:
                raise PromiseBroken("events are out of order", f"{event.id}: {event.sequence} in place {place}")
            self._event_ids.add(event.id)
        self._events[confirmation.receipt_id] = len(outbox)
        if confirmation.final and outbox[-1].document["state"] != confirmation.state:
            raise PromiseBroken("what was told last isn't how it stands", outbox[-1].document)
        receipt_id = confirmation.receipt_id
        # What a person called confirmed may have been cancelled before.
        if self._drifts(receipt_id) > self.cancelled_elsewhere[receipt_id] + (receipt_id in self._by_word):
            raise PromiseBroken("drift is told more than once, or of nothing")

    def _drifts(self, receipt_id: str) -> int:
        return sum(event.type is EventType.DRIFT for event in self._store.outbox.get(receipt_id, ()))

    def _check_shop(self, confirmation: Confirmation) -> None:
        """Hold the shop's own tables: reserved while it is open, sold once confirmed, nothing once it is over."""
        if self._shop is None:
            return
        calls = self._shop.calls.get(confirmation.receipt_id, [])
        committed = calls.count(Method.ON_COMMIT)
        reserved = calls.count(Method.ON_RESERVE) - calls.count(Method.ON_RELEASE) - committed
        sold = committed - calls.count(Method.ON_VOID)
        if (reserved, sold) not in _SHOP_MAY[confirmation.origin]:
            raise PromiseBroken("the shop's tables say otherwise", f"{confirmation.state}, {calls}")

    # Once all is settled ----------------------------------------------------------------------------------------------

    def settled(self, receipt_id: str) -> bool:
        """Say whether nothing will move it any more: it has ended, or only people can end it."""
        row = self._store.rows.get(receipt_id)
        if row is None:
            return True
        confirmation = row.confirmation
        if confirmation.state is State.REVIEW:
            # Looked at often enough that whatever was to be heard was heard.
            return confirmation.parks > 6 and self._is_for_people(confirmation)
        return confirmation.final and row.due_at is None

    def check_end(self, receipt_id: str) -> None:
        """Hold a settled receipt against the gateway's ledger."""
        self._checked.pop(receipt_id, None)
        self.check(receipt_id)
        confirmation = self._store.rows[receipt_id].confirmation
        receipt = self._gateway.receipts.get(receipt_id)
        taken = receipt.taken if receipt else 0
        if confirmation.reason is Reason.ORDER_MISMATCH:
            if receipt and receipt.cancels:
                raise PromiseBroken("another's money was touched", receipt)
        elif confirmation.state is State.CONFIRMED:
            self._check_end_confirmed(confirmation, taken)
        elif confirmation.final and taken and receipt_id not in self._by_word:
            raise PromiseBroken("ended without a payment, and the gateway keeps the money", f"{taken}")

    def _check_end_confirmed(self, confirmation: Confirmation, taken: int) -> None:
        receipt_id = confirmation.receipt_id
        elsewhere = self.cancelled_elsewhere[receipt_id]
        if elsewhere and not self._drifts(receipt_id) and receipt_id not in self._by_word:
            raise PromiseBroken("cancelled elsewhere, and nobody was told")
        if taken != confirmation.order.amount.minor and not elsewhere and receipt_id not in self._by_word:
            raise PromiseBroken("confirmed, and the gateway keeps something else", f"{taken}")

    def check_shelves(self) -> None:
        """Hold what is held against who may hold it, and every shelf against what was put on it."""
        self._check_counts(self._put)
        for receipt_id, reservation in self._store.stock.reservations.items():
            if reservation.state == "held" and not self._store.rows[receipt_id].confirmation.holds_stock:
                raise PromiseBroken("held for nobody", reservation, receipt_id)

    def check_polled(self) -> None:
        """Hold all that was stored again against what was told first: one document for one sequence."""
        for told in self._store.told_again:
            first = self._store.outbox[told.document["receipt_id"]][told.sequence - 1]
            if told.document != first.document:
                raise PromiseBroken("two documents have one sequence", told, told.document["receipt_id"])

    def _is_for_people(self, confirmation: Confirmation) -> bool:
        owner = self._store.owners.get(confirmation.order.order_id)
        if confirmation.reason is Reason.ORDER_UNDECIDED and owner:
            return self.settled(owner)
        truth = self._gateway.truth(confirmation.receipt_id)
        no_refund = isinstance(truth, GatewayReceipt) and truth.virtual_account
        return no_refund or see(truth, confirmation.order) in FOR_PEOPLE


#: What the shop's tables may say, by the state whose rules apply: (reserved, sold). Where a person voided what was
#: sold, it stays the order's until the money is back, or is confirmed anew.
_SHOP_MAY = {
    State.RECEIVED: {(0, 0)},
    State.SUBMITTING: {(1, 0), (0, 1)},
    State.VOIDING: {(0, 0), (0, 1)},
    State.CONFIRMED: {(0, 1)},
    State.REJECTED: {(0, 0)},
    State.VOIDED: {(0, 0)},
}


def _is_clear(heard: GatewayReceipt, order: Order) -> bool:
    partly = 0 < heard.cancelled < order.amount.minor
    return heard.order_id == order.order_id and not partly and heard.status in CLEAR[heard.api]
