"""Check a callback's signature as Standard Webhooks says, with Python's standard library alone.

WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… python verify.py < body

The headers and the body exactly as they came. Prints the event's type and receipt and ends with 0; with 1: it isn't
payconfirm's; 2: it can't be checked, as a variable is missing or the secret is none.
"""

import base64
import hmac
import json
import os
import sys
import time

TOLERANCE_SECONDS = 300


class NotOurs(Exception):
    """Payconfirm didn't send this, or not just now."""


def keys(secrets: str) -> list[bytes]:
    """Give the secrets' keys. Without one, or with an empty one, anybody could sign: that is a ValueError."""
    if not secrets.split():
        raise ValueError("CALLBACK_SECRET is missing")
    return [key(secret) for secret in secrets.split()]


def key(secret: str) -> bytes:
    """Give one secret's key."""
    encoded = secret.removeprefix("whsec_")
    try:
        found = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        found = b""
    if encoded == secret or not 24 <= len(found) <= 64:
        raise ValueError("each secret in CALLBACK_SECRET is whsec_ and the base64 of 24 to 64 bytes")
    return found


def verify(webhook_id: str, timestamp: str, signatures: str, secrets: str, body: bytes) -> None:
    """Raise NotOurs unless one of our secrets signed exactly this body, and just now."""
    ours = keys(secrets)
    if not (timestamp.isdecimal() and abs(time.time() - int(timestamp)) <= TOLERANCE_SECONDS):
        raise NotOurs("its timestamp is missing or over five minutes off: it may be a replay")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    for each in ours:  # several while one is being replaced
        expected = b"v1," + base64.b64encode(hmac.digest(each, signed, "sha256"))
        if any(hmac.compare_digest(expected, signature.encode()) for signature in signatures.split()):
            return
    raise NotOurs("no signature of it is ours")


if __name__ == "__main__":
    body = sys.stdin.buffer.read()  # the bytes: JSON that was read and written again has another signature
    try:
        header = {name: os.environ[f"WEBHOOK_{name}"] for name in ("ID", "TIMESTAMP", "SIGNATURE")}
        verify(header["ID"], header["TIMESTAMP"], header["SIGNATURE"], os.environ["CALLBACK_SECRET"], body)
    except (KeyError, ValueError) as unset:
        why = f"{unset.args[0]} is missing" if isinstance(unset, KeyError) else unset
        print(f"can't check: {why}", file=sys.stderr)  # answer 500: it comes again
        sys.exit(2)
    except NotOurs as wrong:
        sys.exit(f"not from payconfirm: {wrong}")  # answer 400
    event = json.loads(body)
    print(event["type"], event["subject"])  # drop what comes again (the same webhook-id), answer 204 within 10 s
