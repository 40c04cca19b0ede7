"""How long to wait before the next look: the one place where it is said."""

from datetime import datetime, timedelta

#: The first wait of a parked receipt; each further one in a row doubles it.
FIRST = timedelta(seconds=1)
#: Before the deadline a buyer is waiting in front of a page.
LONGEST_BEFORE_DEADLINE = timedelta(seconds=10)
#: After it nobody waits any more; people may have been told.
LONGEST = timedelta(minutes=10)
#: Two looks this far apart say that a submit, once it can have ended, didn't take.
SETTLE = timedelta(seconds=3)
#: A receipt the gateway doesn't have, or has not authorised, is given this long to appear.
APPEAR = timedelta(seconds=10)
#: A cancel is tried for this long before people are asked.
TRY_TO_CANCEL = timedelta(hours=24)
#: A rejection whose last word was not an end is looked at again so long after it; then only on a webhook.
LATE_LOOKS = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
#: A receipt that nobody could ask about hasn't failed: however often that was in a row, the next wait is no longer than
#: after so many parkings, 8 s. Without this a gateway that comes and goes, or a
#: long rush on its rate, would leave it waiting for minutes.
MOST_PARKS_UNASKED = 3
#: Jitter spreads a wait between these parts of itself, so that what was parked together doesn't come back together.
SHORTEST_PART, LONGEST_PART = 0.75, 1.25
#: A wait that ends at the deadline ends just past it, so that the look finds the deadline behind it.
_PAST = timedelta(milliseconds=50)


def backoff(parks: int, jitter: float, *, longest: timedelta = LONGEST) -> timedelta:
    """The wait after `parks` parkings in a row, never above `longest`; `jitter` is a number from 0 to 1."""
    doubled = FIRST * float(2 ** min(parks, 10))
    return min(doubled, longest / LONGEST_PART) * (SHORTEST_PART + (LONGEST_PART - SHORTEST_PART) * jitter)


def unasked(parks: int) -> int:
    """Count a parking in a row for which the gateway wasn't asked."""
    return max(parks, min(parks + 1, MOST_PARKS_UNASKED))


def before_deadline(parks: int, jitter: float, *, now: datetime, deadline: datetime) -> timedelta:
    """The wait while the deadline is ahead: short, and never past it."""
    if now >= deadline:
        return backoff(parks, jitter)
    wait = backoff(parks, jitter, longest=LONGEST_BEFORE_DEADLINE)
    return min(wait, deadline - now + _PAST)


def late_look(since: timedelta) -> timedelta | None:
    """The wait until the next late look, so long after the rejection; None after the last."""
    return next((at - since for at in LATE_LOOKS if at > since), None)


def late_look_again(since: timedelta) -> timedelta:
    """The wait after a late look without a word: as long as the last one was."""
    return max((at for at in LATE_LOOKS if at <= since), default=LATE_LOOKS[0])
