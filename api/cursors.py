"""The feed's cursor: opaque to those who read, a place to us. What isn't one of ours is refused, not guessed at."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from zlib import crc32

from api.problems import refused

#: PostgreSQL counts to here.
_LAST = 2**63 - 1


def write(place: int) -> str:
    """Give the cursor of this place."""
    number = place.to_bytes(8)
    return urlsafe_b64encode(number + _check(number)).decode()


def read(cursor: str) -> int:
    """Give the place of a cursor. Raises `ValueError` for what none of our answers ever held."""
    try:
        raw = urlsafe_b64decode(cursor.encode())
        place = int.from_bytes(raw[:8])
    except ValueError:
        place = -1
    if not 0 <= place <= _LAST or write(place) != cursor:
        raise ValueError(
            'is no cursor: takes "next" of an answer, or the id of a server-sent event; none: the beginning'
        )
    return place


def place_of(field: str, cursor: str | None) -> int:
    """Read a request's cursor, none being the place before the first; or refuse with 422."""
    try:
        return read(cursor) if cursor else 0
    except ValueError as wrong:
        raise refused({"field": field, "message": str(wrong)}) from None


def _check(number: bytes) -> bytes:
    """Four bytes by which a cursor that was cut or mistyped is known."""
    return crc32(b"payconfirm.feed" + number).to_bytes(4)
