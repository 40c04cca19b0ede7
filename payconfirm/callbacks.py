"""For who receives callbacks: `verify` says whether a request is payconfirm's, and gives its event.

    event = payconfirm.callbacks.verify(request.body, request.headers, SECRET)

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com), so any of its libraries does, too. This
needs nothing beside Python.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from payconfirm.errors import CallbackRefused

__all__ = ["CallbackRefused", "verify"]

#: A request that is older, or from further in the future, may be an old one sent again by somebody who overheard it.
TOLERANCE_SECONDS = 300

_PREFIX = "whsec_"
_VERSION = "v1"
_BYTES_OF_A_SECRET = range(24, 65)


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> dict[str, Any]:
    """Give the event of a callback that payconfirm has sent. Raises `payconfirm.CallbackRefused` for anything else.

    `body` is the request's body as it came, not read and written anew. `secrets` is what `CALLBACK_SECRET` is there:
    one, or several (in a list, or separated by spaces) while one is being replaced; any of them will do. Drop repeats
    by the event's `id`. Raises `ValueError` for secrets that are none.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"the body is bytes as they came, not {type(body).__name__}")
    keys = _keys(secrets)
    message_id, timestamp, signatures = _read(headers)
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > len("99999999999"):
        raise CallbackRefused("webhook-timestamp isn't a number of seconds")
    if abs(time.time() - int(timestamp)) > tolerance_seconds:
        raise CallbackRefused(f"webhook-timestamp is more than {tolerance_seconds:g} s away from now")
    try:
        encoded_id = message_id.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise CallbackRefused("webhook-id isn't text") from None
    signed = b".".join((encoded_id, timestamp.encode(), bytes(body)))
    if not _matches(keys, signed, signatures):
        raise CallbackRefused("no signature in webhook-signature is made with one of these secrets")
    return _event(bytes(body), message_id)


def _keys(secrets: str | Iterable[str]) -> list[bytes]:
    words = secrets.split() if isinstance(secrets, str) else [word for each in secrets for word in each.split()]
    if not words:
        raise ValueError("there is no secret to verify callbacks with")
    return [_key(word) for word in words]


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _BYTES_OF_A_SECRET:
        raise ValueError("a secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def _read(headers: Mapping[str, str]) -> list[str]:
    """Give the three headers, however their names are written."""
    given = {str(name).lower().replace("_", "-").removeprefix("http-"): value for name, value in headers.items()}
    found = []
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        value = given.get(name)
        if not isinstance(value, str) or not value:
            raise CallbackRefused(f"the header {name} is missing")
        found.append(value)
    return found


def _matches(keys: list[bytes], signed: bytes, signatures: str) -> bool:
    """Compare each with each, in a time that says nothing about any."""
    wanted = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    found = False
    for signature in signatures.split(" "):
        version, _, encoded = signature.partition(",")
        try:
            given = base64.b64decode(encoded, validate=True) if version == _VERSION else b""
        except (binascii.Error, ValueError):
            continue
        for each in wanted:
            found |= hmac.compare_digest(each, given)
    return found


def _event(body: bytes, message_id: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise CallbackRefused("the body is signed, but isn't JSON") from None
    if not isinstance(event, dict) or event.get("id") != message_id:
        raise CallbackRefused("the body is signed, but isn't the event that webhook-id names")
    return event
