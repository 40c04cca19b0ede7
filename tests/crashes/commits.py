"""Every commit on the ways of a receipt, by the words that it is known by, and what must come of its receipt."""

from dataclasses import dataclass, field
from typing import Any

from tests.crashes.middleman import How

PAID = 1


@dataclass(frozen=True)
class Story:
    """One receipt: how it begins at the gateway, what goes wrong there, how it ends."""

    state: str = "confirmed"
    receipt: dict[str, Any] = field(default_factory=dict)
    fault: dict[str, Any] | None = None
    items: tuple[str, ...] = ("tee",)
    charges: int = 1
    cancels: int = 0
    #: How often money was asked for.
    submits: int = 1


WELL = Story()
PARKED = Story(fault={"call": "receipt", "fault": "http_500"})
UNCLEAR = Story(fault={"call": "approve", "fault": "http_500", "acts": True})
REJECTED = Story("rejected", receipt={"price": 1}, charges=0, submits=0)
VOIDED = Story("voided", receipt={"status": PAID}, items=("unicorn",), cancels=1, submits=0)


@dataclass(frozen=True)
class Commit:
    """One commit of a story: a part of its statement, and how often the receipt is claimed when it breaks there.

    Where the answer is lost, the worker asks the row and goes on: no second claim. Where it never arrived, nothing can
    be known but by waiting for the lease. A claim is the other way round: nobody knows of one whose answer was lost.
    """

    words: str
    story: Story
    claims: dict[How, int]
    by_http: bool = False


def claims(answer_lost, never_arrived):
    return {How.ANSWER_LOST: answer_lost, How.NEVER_ARRIVED: never_arrived}


COMMITS = {
    "the row of a posted document": Commit("DO NOTHING RETURNING", WELL, claims(1, 1), by_http=True),
    "the first claim": Commit("DO UPDATE SET", WELL, claims(2, 1)),
    "the reservation": Commit("'reserve'", WELL, claims(1, 2)),
    "the confirmation": Commit("'commit'", WELL, claims(1, 2)),
    "the parking": Commit("'wait'", PARKED, claims(2, 2)),
    "the claim after it": Commit("IS NOT DISTINCT FROM", PARKED, claims(3, 2)),
    "an unclear answer to the submit": Commit("'look up'", UNCLEAR, claims(1, 2)),
    "the rejection": Commit("'reject: ", REJECTED, claims(1, 2)),
    "the voiding": Commit("'void: ", VOIDED, claims(1, 2)),
    "the cancel that is about to be sent": Commit("'cancel'", VOIDED, claims(1, 2)),
    "the money that is back": Commit("'voided: ", VOIDED, claims(1, 2)),
}
CASES = [(name, how) for name in COMMITS for how in (How.ANSWER_LOST, How.NEVER_ARRIVED)]
