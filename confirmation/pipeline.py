"""Start here: one receipt, from wherever it stopped to its end, or to where it must wait.

    message ─▶ lock (Redis) ─▶ claim: a new fence and a lease               commit 1
                verify    ask the gateway: right order, amount, currency, ready to be approved
                reserve   hold the stock, own the order, say `submitting`   commit 2
                submit    ask for the money; no transaction is open
                commit    `confirmed`, stock sold, the event written        commit 3

The row is the truth, the message is a hint: whoever claims the row goes on from the state that stands there. What the
gateway's receipt says decides (`decisions.py`), never an error alone. `phases.py` has the phases. A confirmation can
move while this worker holds it; parked, ended and claimed by another worker all mean that it can't.
"""

from confirmation.confirmation import Confirmation, Job
from confirmation.errors import StoreBusy
from confirmation.phases import ask_people, look, park, submit
from confirmation.ports import World
from confirmation.states import State

#: Each state that can be left, and the phase that leaves it. Nearly always that is a look at the gateway's receipt and
#: what the decision table makes of it in this state: hold the stock, send the money back, ask people, wait, end.
PHASES = {
    State.RECEIVED: look,
    State.SUBMITTING: submit,
    State.VOIDING: look,
    State.REVIEW: look,
    State.REJECTED: look,
    State.CONFIRMED: look,
}

#: A row first seen by whoever met the lock waits this long for the holder to come round.
LOCKED_DUE_SECONDS = 2.0


def confirm(job: Job, world: World) -> Confirmation | None:
    """Carry one receipt as far as it can go now; None where another worker has it and there is nothing to keep."""
    with world.lock(job.receipt_id) as held:
        if not held:
            return world.store.keep(job.order, LOCKED_DUE_SECONDS) if job.order else None
        confirmation = world.store.claim(job, world.terms.lookup_lease_seconds)
        if confirmation.hold:
            world.steadiness.claimed(confirmation.hold, world.tick())
        if confirmation.final and not confirmation.can_move:
            world.store.tell_again(confirmation)
        while confirmation.can_move:
            confirmation = _leave(confirmation, world)
    return confirmation


def _leave(confirmation: Confirmation, world: World) -> Confirmation:
    phase = ask_people if confirmation.keeps_crashing else PHASES[confirmation.state]
    try:
        return phase(confirmation, world)
    except StoreBusy:
        return park(confirmation, world)
