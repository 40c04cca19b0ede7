"""What people do to the rows in memory, by the very rules of the real store."""

from dataclasses import replace
from uuid import UUID

from confirmation import operators
from confirmation.hooks import KNOWN, order_of, part_in
from confirmation.operating import Standing
from confirmation.operators import PHASE, Act
from confirmation.ports import Step
from confirmation.states import Hooked, State
from sandbox.twins.store import TwinRow, TwinStore

#: What a person may send back.
_VOIDABLE = (State.CONFIRMED, State.REVIEW)


class TwinOperating:
    """`confirmation.operating.Rows` on a `TwinStore`."""

    def __init__(self, store: TwinStore) -> None:
        self._store = store

    def standing(self, receipt_id: str) -> Standing:
        """How the receipt stands."""
        row = self._store.rows.get(receipt_id)
        if row is None:
            raise LookupError(f"no receipt {receipt_id}")
        return Standing(row.confirmation, row.fence)

    def retry(self, receipt_id: str, by: str) -> bool:
        """Have it looked at now; for one that kept crashing the count begins anew."""
        row = self._store.rows.get(receipt_id)
        if row is None or row.confirmation.state in (State.CONFIRMED, State.VOIDED):
            return False
        row.confirmation = replace(row.confirmation, idle_claims=0)
        self._store.look_now(receipt_id)
        self._record(receipt_id, Act.RETRY, by, row.confirmation.state)
        return True

    def void(self, receipt_id: str, seen: State, by: str, *, restock: bool) -> bool:
        """Have its money sent back, if it is still in the state that the person saw. Raises `HookFailed`."""
        row = self._store.rows.get(receipt_id)
        if row is None or row.confirmation.state is not seen or seen not in _VOIDABLE:
            return False
        before = row.confirmation
        self._move(row, self._known(row))
        self._store.stock.give_back(receipt_id, sold=restock)
        self._record(receipt_id, "void, what was sold comes back" if restock else Act.VOID, by, before.state)
        return True

    def make_room(self, receipt_id: str, fence: UUID) -> frozenset[str]:
        """Let what the receipt gave back be taken anew, under the claim; give what is still sold to it."""
        if self._store.rows[receipt_id].fence == fence:
            self._store.stock.make_room(receipt_id)
        return self._store.stock.sold(receipt_id)

    def _known(self, row: TwinRow) -> Hooked | None:
        """Have the shop's own part done; give what its tables know of the receipt then."""
        before, hook = row.confirmation, self._store.hook
        after = operators.voiding(before)
        method = part_in(hook, before, after)
        if hook is None or method is None:
            return before.hooked
        if hook.has(method):
            hook.call(method, None, order_of(after))
        return KNOWN.get(method)

    def _move(self, row: TwinRow, known: Hooked | None) -> None:
        now = self._store.clock.now()
        voiding = operators.voiding(row.confirmation)
        row.confirmation = replace(voiding, idle_claims=0, updated_at=now, state_since=now, hooked=known)
        self._store.fence_anew(row)
        self._store.own(row.confirmation)
        row.leased_until = None
        self._store.due(row, now)

    def _record(self, receipt_id: str, decided: str, by: str, was: State) -> None:
        self._store.record(receipt_id, Step(PHASE, "", decided, f"by {by}, it was {was}"))
