"""A person's word about a receipt in review. The gateway is asked first, and where it decides, its word is the end."""

from dataclasses import dataclass, replace
from datetime import timedelta

from confirmation import operators, waits
from confirmation.answers import Answer, Seen, Silence, see, words
from confirmation.confirmation import Confirmation, Job
from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, HookFailed, HookRefused
from confirmation.events import Event, told
from confirmation.operating import NotDone, Rows, may, said
from confirmation.operators import PHASE, Act
from confirmation.pipeline import confirm
from confirmation.ports import Commit, Gateway, Step, Stock, World
from confirmation.states import Reason, State

_BUSY = "a worker is on it, or the gateway may not be asked, at this moment: try again in a few seconds"


@dataclass(frozen=True)
class Word:
    """What a person says: how the receipt ended, and whether that counts where the gateway doesn't decide."""

    state: State
    force: bool
    by: str
    #: How force is said at the door where this person speaks.
    how: str = "--force"


class Listening:
    """The gateway, and the last look-up's answer."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.answer: Answer | None = None

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """Say what the gateway knows now, and remember it."""
        self.answer = self._gateway.look_up(receipt_id, start_by=start_by)
        return self.answer

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """As the gateway does."""
        return self._gateway.submit(receipt_id, start_by=start_by)

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """As the gateway does."""
        return self._gateway.cancel(receipt_id, cancel_id, start_by=start_by)


@dataclass(frozen=True)
class Resolving:
    """Carries one receipt out of review: by the gateway's word, else by a person's."""

    rows: Rows
    world: World

    def resolve(self, receipt_id: str, word: Word) -> tuple[Confirmation, str]:
        """Give the receipt as it then stands, and what the gateway said. Raises `NotDone`."""
        may(self.rows, Act.RESOLVE, receipt_id)
        try:
            confirmation, answer = self._look(receipt_id)
            if confirmation.state is not State.REVIEW:
                return confirmation, see(answer, confirmation.order)
            return self._take_the_word(confirmation, answer, word)
        except ClaimLost:
            raise NotDone(f"{receipt_id}: somebody else moved it at this moment: see explain") from None

    def _look(self, receipt_id: str) -> tuple[Confirmation, Answer]:
        """One look as a worker makes it: what the gateway decides is done, by the table."""
        listening = Listening(self.world.gateway)
        job = Job(receipt_id, fence=self.rows.standing(receipt_id).fence)
        confirmation = confirm(job, replace(self.world, gateway=listening))
        if confirmation is None or listening.answer is None:
            raise NotDone(f"{receipt_id}: {_BUSY}")
        return confirmation, listening.answer

    def _take_the_word(self, seen: Confirmation, answer: Answer, word: Word) -> tuple[Confirmation, str]:
        row = see(answer, seen.order)
        heard = f"no word: {answer.why}" if isinstance(answer, Silence) else words(answer, row)
        if why := operators.word_refused(row, force=word.force, how=word.how):
            raise NotDone(f"{seen.receipt_id} is {said(seen)}; the gateway says: {heard}; {why}")
        claimed = self._claim(seen.receipt_id)
        step = Step(PHASE, heard, f"resolve as {word.state}", f"by {word.by}")
        if word.state is State.CONFIRMED and operators.hold_first(claimed):
            claimed = self._hold(claimed, step)
        return self._end_or_void(claimed, step, word.state, row), heard

    def _claim(self, receipt_id: str) -> Confirmation:
        """Claim it as the sweep's message does: what another worker holds, or has moved, stays that one's."""
        job = Job(receipt_id, fence=self.rows.standing(receipt_id).fence)
        claimed = self.world.store.claim(job, self.world.terms.lookup_lease_seconds)
        if not claimed.can_move:
            raise NotDone(f"{receipt_id}: {_BUSY}")
        if claimed.state is not State.REVIEW:
            self._give_back(claimed, Step(PHASE, "", "wait", f"it is {claimed.state} by now"))
            raise NotDone(f"{receipt_id} is {said(claimed)} by now: nothing was changed")
        return claimed

    def _hold(self, claimed: Confirmation, step: Step) -> Confirmation:
        """Hold the items and own the order, or give the receipt back to review."""
        before = self._without_sold(claimed)
        taking = Step(PHASE, step.seen, "hold the stock", step.detail)
        lease = self.world.terms.lookup_lease_seconds
        try:
            reserved = self.world.store.reserve(Commit(before, operators.held(before), taking, lease_seconds=lease))
        except HookRefused as no:
            raise self._refused(claimed, step, f"{Refusal.REFUSED_BY_HOOK}, {no}") from no
        except HookFailed as failed:
            raise self._hook_failed(claimed, step, failed) from failed
        if isinstance(reserved, Refusal):
            raise self._refused(claimed, step, reserved)
        return reserved

    def _without_sold(self, claimed: Confirmation) -> Confirmation:
        """What it sold once, and what never came back, isn't taken a second time."""
        if claimed.hold is None:
            raise ClaimLost(claimed.receipt_id)
        sold = self.rows.make_room(claimed.receipt_id, claimed.hold.fence)
        items = {sku: quantity for sku, quantity in claimed.order.items.items() if sku not in sold}
        return replace(claimed, order=replace(claimed.order, items=items))

    def _end_or_void(self, claimed: Confirmation, step: Step, state: State, seen: Seen) -> Confirmation:
        """End it; where that is confirmed and the shop says no, its money goes back as a worker would have it."""
        try:
            try:
                return self._end(claimed, step, state, seen)
            except HookRefused as no:
                return self._void(claimed, step, str(no))
        except HookFailed as failed:
            raise self._hook_failed(claimed, step, failed) from failed

    def _end(self, claimed: Confirmation, step: Step, state: State, seen: Seen) -> Confirmation:
        after = operators.ended(claimed, state)
        kind = told(claimed, after)
        event = Event(self.world.event_id(), kind) if kind else None
        stock = Stock.SELL if state is State.CONFIRMED else Stock.RELEASE
        wait = operators.next_look(state, seen)
        return self.world.store.write(Commit(claimed, after, step, stock=stock, event=event, wait=wait))

    def _void(self, claimed: Confirmation, step: Step, words: str) -> Confirmation:
        after = operators.voiding(claimed, Reason.REFUSED_BY_HOOK, words)
        refused = replace(step, decided=f"{step.decided}, refused: {after.reason}", detail=f"{step.detail}; {words}")
        return self.world.store.write(Commit(claimed, after, refused, stock=Stock.RELEASE, wait=timedelta()))

    def _refused(self, claimed: Confirmation, step: Step, why: str) -> NotDone:
        self._give_back(claimed, replace(step, decided=f"{step.decided}, refused: {why}"))
        return NotDone(f"{claimed.receipt_id} can't be confirmed: {why}; it stays in review")

    def _hook_failed(self, claimed: Confirmation, step: Step, failed: HookFailed) -> NotDone:
        tried = replace(step, decided=f"{step.decided}: {Reason.HOOK_FAILED}", detail=f"{step.detail}; {failed}")
        self._give_back(claimed, tried)
        return NotDone(f"{claimed.receipt_id}: the shop's own hook failed, {failed}; it stays in review")

    def _give_back(self, claimed: Confirmation, step: Step) -> None:
        self.world.store.write(Commit(claimed, claimed, step, wait=waits.FIRST))
