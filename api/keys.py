"""Who may ask: `Authorization: Bearer <key>`."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr

from api.problems import Problem
from config.settings import Settings

#: Who asks where no key is needed.
NOBODY = b""


class Keys:
    """The keys that open the routes for producers: theirs, and those of people on duty, which open everything.

    Without producers' keys these routes are open; settings allow that only on a loopback address.
    """

    def __init__(self, settings: Settings) -> None:
        producers = _digests(settings.api_keys)
        self._open = not producers
        self._digests = producers + _digests(settings.operator_keys)

    def caller(self, authorization: str | None) -> bytes | None:
        """Give what tells this caller from others, never the key itself; None for a caller without a key of ours."""
        given = _digest(_bearer(authorization))
        # Digests have one length and every one is compared, so the time taken tells nothing about the keys.
        found = [known for known in self._digests if hmac.compare_digest(known, given)]
        if found:
            return found[0]
        return NOBODY if self._open else None


async def caller(request: Request) -> bytes:
    """Let in only who has a key."""
    found: bytes | None = request.app.state.door.keys.caller(request.headers.get("authorization"))
    if found is None:
        raise Problem(401, "This needs a key: Authorization: Bearer <key>.", headers={"WWW-Authenticate": "Bearer"})
    return found


Caller = Annotated[bytes, Depends(caller)]


def _bearer(authorization: str | None) -> bytes:
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip(" \t").encode("latin-1") if scheme.lower() == "bearer" else b""  # as it came over the wire


def _digests(keys: SecretStr | None) -> list[bytes]:
    text = keys.get_secret_value() if keys else ""
    return [_digest(key.encode()) for key in text.split()]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
