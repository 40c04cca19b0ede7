"""Who may ask: `Authorization: Bearer <key>`, and for the console the same key as a browser sends it."""

import hashlib
import hmac
from base64 import b64decode
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr

from api.problems import Problem
from config.settings import Settings

#: Who asks where no key is needed.
NOBODY = b""

#: How long it takes to try one key against a fingerprint: some 20 ms, once for each key as the process starts.
_ROUNDS = 50_000

_BEARER = {"WWW-Authenticate": "Bearer"}
_BASIC = {"WWW-Authenticate": 'Basic realm="payconfirm console", charset="UTF-8"'}
_NO_KEY = "This needs a key: Authorization: Bearer <key>."
_NOT_OURS = "The key given is none of API_KEYS: Authorization: Bearer <key>."
_NOT_ON_DUTY = "This needs a key of OPERATOR_KEYS: Authorization: Bearer <key>."
_PRODUCERS = "This needs a key of OPERATOR_KEYS; the one given is a producer's, of API_KEYS."
_NOBODY_ON_DUTY = (
    "This needs a key of OPERATOR_KEYS, and this process was given none: set OPERATOR_KEYS and start it anew."
)


@dataclass(frozen=True)
class Known:
    """One key of ours, as it is compared, and what it opens."""

    digest: bytes
    operator: str | None = None


class Keys:
    """The keys: producers', and those of people on duty, which open everything.

    Without producers' keys the routes for producers are open; settings allow that only on a loopback address. What
    people on duty do is never open.
    """

    def __init__(self, settings: Settings) -> None:
        operators = [Known(_digest(key), fingerprint(key)) for key in _keys(settings.operator_keys)]
        producers = [Known(_digest(key)) for key in _keys(settings.api_keys)]
        #: Whether producers need no key.
        self.open = not producers
        self._nobody_on_duty = not operators
        self._known = operators + producers

    def caller(self, authorization: str | None) -> bytes | None:
        """Give what tells this caller from others, never the key itself; None for a caller without a key of ours."""
        found = self._find(_bearer(authorization))
        if found is not None:
            return found.digest
        return NOBODY if self.open else None

    def operator(self, authorization: str | None, *, browser: bool = False) -> str:
        """Give the fingerprint of the key of a person on duty, or refuse: 401 no key of ours, 403 a producer's."""
        given = (_basic(authorization) if browser else None) or _bearer(authorization)
        found = self._find(given)
        if found is not None and found.operator is not None:
            return found.operator
        if self._nobody_on_duty:
            raise Problem(403, _NOBODY_ON_DUTY)
        if found is not None:
            raise Problem(403, _PRODUCERS)
        raise Problem(401, _NOT_ON_DUTY, headers=_BASIC if browser else _BEARER)

    def _find(self, given: bytes) -> Known | None:
        digest = _digest(given)
        # Digests have one length and every one is compared, so the time taken tells nothing about the keys.
        found = [known for known in self._known if hmac.compare_digest(known.digest, digest)]
        return found[0] if found else None


def fingerprint(key: bytes) -> str:
    """Give six letters by which people tell keys apart: too few, and too dear to try, to find a key by."""
    return hashlib.pbkdf2_hmac("sha256", key, b"payconfirm operator", _ROUNDS)[:3].hex()


async def caller(request: Request) -> bytes:
    """Let in only who has a key."""
    given = request.headers.get("authorization")
    found: bytes | None = request.app.state.door.keys.caller(given)
    if found is None:
        raise Problem(401, _NOT_OURS if _bearer(given) else _NO_KEY, headers=_BEARER)
    return found


async def operator(request: Request) -> str:
    """Let in only who is on duty, and say who that is, as the story has it."""
    mark = request.app.state.door.keys.operator(request.headers.get("authorization"))
    return f"operator over HTTP (key {mark})"


async def watcher(request: Request) -> None:
    """Let in only who is on duty, by what a browser asks for, too.

    It sends that again with every request, whoever caused it; so nothing that changes anything is opened like this.
    """
    request.app.state.door.keys.operator(request.headers.get("authorization"), browser=True)


Caller = Annotated[bytes, Depends(caller)]
Operator = Annotated[str, Depends(operator)]
Watcher = Annotated[None, Depends(watcher)]


def _bearer(authorization: str | None) -> bytes:
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip(" \t").encode("latin-1") if scheme.lower() == "bearer" else b""  # as it came over the wire


def _basic(authorization: str | None) -> bytes:
    """The password; whatever name was typed in."""
    scheme, _, pair = (authorization or "").partition(" ")
    try:
        return b64decode(pair.strip(), validate=True).partition(b":")[2] if scheme.lower() == "basic" else b""
    except ValueError:
        return b""


def _keys(keys: SecretStr | None) -> list[bytes]:
    return [key.encode() for key in (keys.get_secret_value() if keys else "").split()]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
