"""The phases: each takes a confirmation and the world, and gives the confirmation as it stands afterwards.

Nearly all of them are `look`: ask the gateway, decide by the table, do what was decided (`ACTS`). The state before an
outside effect is written first, so that a crash leaves a question and not a guess.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from confirmation import waits
from confirmation.answers import Absent, Answer, Cancelled, Refused, Seen, Silence, without_status, words
from confirmation.cases import Case
from confirmation.confirmation import Confirmation, Hold
from confirmation.decisions import Decision, Refusal, Verb, decide, decide_hook_failed, decide_refused
from confirmation.errors import ClaimLost, HookFailed, HookRefused
from confirmation.events import Event, EventType, told
from confirmation.ports import Commit, Step, Stock, World
from confirmation.states import Reason, State

#: Why a receipt is parked whose turn at the gateway hasn't come.
NO_CALL = "no call to the gateway is free"
#: A lease that is older than this when its call comes, since a free call was waited for, is renewed first.
MOST_WAITED_SECONDS = 0.5


def look(confirmation: Confirmation, world: World) -> Confirmation:
    """Ask the gateway what it knows, decide by its word alone, and do it."""
    if not world.budget(urgent=_buyer_waits(confirmation, world)):
        return park(confirmation, world, NO_CALL)
    if _hold(confirmation).used or _hold(confirmation).age(world.tick()) > MOST_WAITED_SECONDS:
        confirmation = world.store.renew(confirmation, world.terms.lookup_lease_seconds)
    start_by = _hold(confirmation).start_by(world.terms.lookup_seconds)
    asked = world.tick()
    answer = world.gateway.look_up(confirmation.receipt_id, start_by=start_by)
    case = _case(confirmation, answer, world, asked)
    return act(case, decide(case), world)


def submit(confirmation: Confirmation, world: World) -> Confirmation:
    """Ask for the money, once per `submitting` that was written for it; the next look believes only the receipt."""
    if not _hold(confirmation).may_submit or confirmation.past(world.terms.deadline, _now(confirmation, world)):
        return look(confirmation, world)
    start_by = _hold(confirmation).start_by(world.terms.submit_seconds)
    asked = world.tick()
    answer = world.gateway.submit(confirmation.receipt_id, start_by=start_by)
    case = replace(_case(confirmation, answer, world, asked), call="submit")
    if case.seen is Seen.PAID:
        return act(case, Decision(Verb.COMMIT), world)
    heard = _hear(confirmation, answer, _now(confirmation, world))
    step = Step(case.call, _say(case), "look up")
    lease = world.terms.lookup_lease_seconds
    return world.store.write(Commit(confirmation, heard, step, lease_seconds=lease))


def ask_people(confirmation: Confirmation, world: World) -> Confirmation:
    """Give a receipt that keeps ending its worker to people, never reject it; leave one that they have in peace."""
    undecided = confirmation.state in (State.RECEIVED, State.SUBMITTING, State.VOIDING)
    after = _enter(confirmation, State.REVIEW, Reason.KEEPS_CRASHING) if undecided else confirmation
    decided = after.state.value if undecided else "wait"
    step = Step("claim", f"{confirmation.idle_claims} claims in a row wrote nothing", decided, Reason.KEEPS_CRASHING)
    event = _event(confirmation, after, world)
    return world.store.write(Commit(confirmation, after, step, event=event, wait=waits.LONGEST))


def park(confirmation: Confirmation, world: World, why: str = "the database was busy") -> Confirmation:
    """Wait: the database had no time for the last commit, and nothing of it was written; or no call is free."""
    now, deadline = _now(confirmation, world), confirmation.created_at + world.terms.deadline
    wait = waits.before_deadline(confirmation.parks, world.jitter(), now=now, deadline=deadline)
    after = replace(confirmation, parks=waits.unasked(confirmation.parks))
    step = Step("park", why, "wait")
    return world.store.write(Commit(confirmation, after, step, wait=wait))


# What can be decided, done ------------------------------------------------------------------------------------------


def reserve(case: Case, decision: Decision, world: World) -> Confirmation:
    """Hold the stock and own the order; say `submitting` before anything is sent."""
    paid = decision.verb is Verb.RESERVE_PAID
    after = _enter(case.confirmation, State.SUBMITTING, None)
    after = after if paid else _will_submit(after, case, world)
    lease = world.terms.submit_lease_seconds
    reserved = world.store.reserve(Commit(case.confirmation, after, _step(case, decision), lease_seconds=lease))
    if isinstance(reserved, Refusal):
        return act(case, decide_refused(case, reserved), world)
    return reserved if paid else _may_submit(reserved)  # the next look at a paid one commits it


def submit_again(case: Case, decision: Decision, world: World) -> Confirmation:
    """Say that another submit is on its way; the next phase sends it."""
    after = _will_submit(case.confirmation, case, world)
    lease = world.terms.submit_lease_seconds
    again = Commit(case.confirmation, after, _step(case, decision), lease_seconds=lease)
    return _may_submit(world.store.write(again))


def commit(case: Case, decision: Decision, world: World) -> Confirmation:
    """Make the payment durable, sell the stock and tell it, or do none of it."""
    after = replace(_enter(case.confirmation, State.CONFIRMED, None), owns_order=True, submitted_until=None)
    return world.store.write(replace(_commit(case, decision, after, world), stock=Stock.SELL))


def start_voiding(case: Case, decision: Decision, world: World) -> Confirmation:
    """Release the stock and say that the money must go back; the next phase sends it.

    What was seen is forgotten: a cancel that had failed before was not one of ours, and is tried once more.
    """
    voiding = _enter(case.confirmation, State.VOIDING, decision.reason)
    message = case.message(decision.reason)
    after = replace(voiding, void_reason=decision.reason, message=message, seen=None, looks=0)
    lease = world.terms.lookup_lease_seconds
    released = replace(_commit(case, decision, after, world), stock=Stock.RELEASE, lease_seconds=lease)
    return world.store.write(released)


def cancel(case: Case, decision: Decision, world: World) -> Confirmation:
    """Send the money back, all that remains. Whatever isn't a clear end is looked up after a wait."""
    after = _number_cancel(case)
    cancel_id = f"{case.confirmation.receipt_id}-{after.cancel_number}"
    step = _step(case, decision, detail=cancel_id)
    lease = world.terms.submit_lease_seconds
    sending = world.store.write(Commit(case.confirmation, after, step, lease_seconds=lease))
    start_by = _hold(sending).start_by(world.terms.submit_seconds)
    asked = world.tick()
    answer = world.gateway.cancel(sending.receipt_id, cancel_id, start_by=start_by)
    sent = replace(_case(sending, answer, world, asked), call="cancel")
    if sent.seen is Seen.CANCELLED:
        return act(sent, Decision(Verb.SETTLE_VOID, sending.void_reason), world)
    parked = replace(sending, cancel_refused=isinstance(answer, Refused), parks=sending.parks + 1)
    wait = waits.backoff(sending.parks, world.jitter())
    return world.store.write(Commit(sending, parked, Step(sent.call, _say(sent), "look up"), wait=wait))


def settle_void(case: Case, decision: Decision, world: World) -> Confirmation:
    """The money is back: end it."""
    return world.store.write(_commit(case, decision, _enter(case.confirmation, State.VOIDED, decision.reason), world))


def reject(case: Case, decision: Decision, world: World) -> Confirmation:
    """Give the stock and the order up; no money moves. A late look may yet find it paid."""
    after = _enter(case.confirmation, State.REJECTED, decision.reason)
    after = replace(after, message=case.message(decision.reason))
    return world.store.write(replace(_commit(case, decision, after, world), stock=Stock.RELEASE, wait=decision.wait))


def review(case: Case, decision: Decision, world: World) -> Confirmation:
    """Ask people; what is held stays held."""
    after = replace(_enter(case.confirmation, State.REVIEW, decision.reason), message=case.question)
    return world.store.write(replace(_commit(case, decision, after, world), wait=decision.wait))


def tell_drift(case: Case, decision: Decision, world: World) -> Confirmation:
    """Say that somebody has cancelled what was confirmed; nothing else changes."""
    event = Event(world.event_id(), EventType.DRIFT)
    return world.store.write(replace(_commit(case, decision, case.confirmation, world), event=event))


def wait_(case: Case, decision: Decision, world: World) -> Confirmation:
    """Give the hold up and look again later."""
    after = replace(case.confirmation, parks=_parks(case))
    return world.store.write(replace(_commit(case, decision, after, world), wait=decision.wait))


#: What ends in a call to the gateway. The call is taken from the budget before the lease under which it is made.
CALLS = frozenset({Verb.RESERVE, Verb.SUBMIT, Verb.CANCEL})

Act = Callable[[Case, Decision, World], Confirmation]

ACTS: dict[Verb, Act] = {
    Verb.RESERVE: reserve,
    Verb.RESERVE_PAID: reserve,
    Verb.SUBMIT: submit_again,
    Verb.COMMIT: commit,
    Verb.VOID: start_voiding,
    Verb.CANCEL: cancel,
    Verb.SETTLE_VOID: settle_void,
    Verb.REJECT: reject,
    Verb.REVIEW: review,
    Verb.WAIT: wait_,
    Verb.END: wait_,
    Verb.DRIFT: tell_drift,
}


def act(case: Case, decision: Decision, world: World) -> Confirmation:
    """Do what was decided, or what comes of it where the shop has no part in it; a call, once one is free."""
    if decision.verb in CALLS and not world.budget(urgent=_buyer_waits(case.confirmation, world)):
        return park(case.confirmation, world, NO_CALL)
    try:
        return ACTS[decision.verb](case, decision, world)
    except HookRefused as refused:
        case = replace(case, shop_said=str(refused))
        return act(case, decide_refused(case, Refusal.REFUSED_BY_HOOK), world)
    except HookFailed as failed:
        case = replace(case, shop_said=str(failed))
        return act(case, decide_hook_failed(case), world)


# The row as it becomes ------------------------------------------------------------------------------------------------


def _enter(confirmation: Confirmation, state: State, reason: Reason | None) -> Confirmation:
    """The row in its new state: what belonged to the old one is forgotten."""
    in_review = state is State.REVIEW
    message = confirmation.message if in_review else ""
    message = without_status(confirmation.message) if state is State.VOIDED else message
    keeps_order = state is State.SUBMITTING or (in_review and confirmation.origin is State.SUBMITTING)
    return replace(
        confirmation,
        state=state,
        reason=reason,
        review_from=confirmation.origin if in_review else None,
        owns_order=keeps_order,
        message=message,
        parks=0,
    )


def _will_submit(confirmation: Confirmation, case: Case, world: World) -> Confirmation:
    """A submit is about to be sent: it can be at work until its lease is over."""
    until = _now(case.confirmation, world) + timedelta(seconds=world.terms.submit_lease_seconds)  # of a lease to come
    return replace(confirmation, submits=confirmation.submits + 1, submitted_until=until, seen=None, looks=0, parks=0)


def _may_submit(confirmation: Confirmation) -> Confirmation:
    return replace(confirmation, hold=replace(_hold(confirmation), may_submit=True))


def _hear(confirmation: Confirmation, answer: Answer, now: datetime) -> Confirmation:
    """Keep what a submit was answered: an ended call can't be at work, v1's same negative code twice is a decline."""
    ended = not isinstance(answer, Silence) or answer.ended
    heard = replace(confirmation, submitted_until=now if ended else confirmation.submitted_until)
    if not isinstance(answer, Refused):
        return heard
    declined = answer.explicit or (answer.code.startswith("-") and answer.code == confirmation.refusal)
    return replace(heard, refusal=answer.code, declined=declined, message=answer.message)


def _parks(case: Case) -> int:
    """One more in a row; where the gateway wasn't even asked, not so many that the waits become long."""
    parks = case.confirmation.parks
    unasked = isinstance(case.answer, Silence) and not case.answer.asked
    return waits.unasked(parks) if unasked else parks + 1


def _number_cancel(case: Case) -> Confirmation:
    """The cancel's number grows only after a refusal, once a look-up shows that nothing was cancelled."""
    confirmation = case.confirmation
    refused = confirmation.cancel_refused or case.seen is Seen.CANCEL_FAILED
    grows = refused and case.seen is not Seen.PARTLY_CANCELLED
    return replace(confirmation, cancel_number=confirmation.cancel_number + grows, cancel_refused=False)


# Small words ----------------------------------------------------------------------------------------------------------


def _case(confirmation: Confirmation, answer: Answer, world: World, asked: float) -> Case:
    used = replace(confirmation, hold=replace(_hold(confirmation), used=True, may_submit=False))
    case = Case.of(
        used,
        answer,
        asked=_hold(confirmation).now(asked),
        now=_now(confirmation, world),
        deadline=world.terms.deadline,
        jitter=world.jitter(),
    )
    at_work_at_most = world.terms.submit_lease_seconds + waits.SETTLE.total_seconds()
    return case if world.steadiness.lasts(asked) >= at_work_at_most else replace(case, steady=False)


def _buyer_waits(confirmation: Confirmation, world: World) -> bool:
    """Whether a call for this receipt goes before those that only tidy up."""
    open_ = confirmation.state in (State.RECEIVED, State.SUBMITTING)
    return open_ and not confirmation.past(world.terms.deadline, _now(confirmation, world))


def _hold(confirmation: Confirmation) -> Hold:
    if confirmation.hold is None:
        raise ClaimLost(f"{confirmation.receipt_id} isn't held by this worker")
    return confirmation.hold


def _now(confirmation: Confirmation, world: World) -> datetime:
    return _hold(confirmation).now(world.tick())


def _step(case: Case, decision: Decision, detail: str = "") -> Step:
    decided = f"{decision.verb}: {decision.reason}" if decision.reason else decision.verb.value
    return Step(case.call or case.confirmation.state.value, _say(case), decided, detail or case.shop_said)


def _commit(case: Case, decision: Decision, after: Confirmation, world: World) -> Commit:
    """The commit of a decision, with the event that it must tell; without a lease or a wait, unless they are added."""
    before = case.confirmation
    return Commit(before, after, _step(case, decision), event=_event(before, after, world))


def _event(before: Confirmation, after: Confirmation, world: World) -> Event | None:
    event_type = told(before, after)
    return Event(world.event_id(), event_type) if event_type else None


def _say(case: Case) -> str:
    """What was answered, in the words of a story."""
    match case.answer:
        case Refused(code=code, message=message):
            return f"refused {code} {message}".strip()
        case Silence(why=why):
            return f"no word: {why}"
        case Cancelled(message=message, already=already):
            return f"{'already ' if already else ''}cancelled {message}".strip()
        case Absent():
            return "no such receipt"
        case _:
            return words(case.answer, case.seen)
