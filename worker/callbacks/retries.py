"""When a callback that wasn't taken is sent again."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: The contract's waits; after the last one there is no more.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600))
#: A shop's own wish counts up to this; it may be later than ours, never earlier.
LONGEST_WISH = timedelta(hours=24)
#: A wait is longer by up to this part of it, so that what failed together doesn't come back together.
_JITTER = 0.1


def wait_after(attempt: int, wish: timedelta | None, chance: float) -> timedelta | None:
    """How long to wait after this attempt, the first being 1; None after the last. `chance` is in 0 to 1."""
    if attempt > len(WAITS):
        return None
    own = WAITS[attempt - 1] * (1 + _JITTER * chance)
    return max(own, min(wish, LONGEST_WISH)) if wish is not None else own


def read_wish(retry_after: str | None, now: datetime) -> timedelta | None:
    """Read a `Retry-After`, seconds or a date; None where it is neither."""
    words = (retry_after or "").strip()
    if words.isascii() and words.isdigit():
        return min(timedelta(seconds=int(words[:9])), LONGEST_WISH)
    try:
        at = parsedate_to_datetime(words)
        return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta())
    except (ValueError, OverflowError):  # the second for a year, or a time zone, beyond all numbers
        return None
