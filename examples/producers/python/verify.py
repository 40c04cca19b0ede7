"""Check a callback's signature as Standard Webhooks says, with Python's standard library alone.

WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… python verify.py < body

The headers and the body exactly as they came. Prints the event's type and receipt, or ends with 1 and the reason.
"""

import base64
import hmac
import json
import os
import sys
import time

TOLERANCE_SECONDS = 300


def verify(webhook_id: str, timestamp: str, signatures: str, secrets: str, body: bytes) -> None:
    """Raise ValueError unless one of our secrets signed exactly this body, and just now."""
    if not (timestamp.isdecimal() and abs(time.time() - int(timestamp)) <= TOLERANCE_SECONDS):
        raise ValueError("its timestamp is missing or over five minutes off: it may be a replay")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    for secret in secrets.split():  # several while one is being replaced
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
        if any(hmac.compare_digest(expected, signature.encode()) for signature in signatures.split()):
            return
    raise ValueError("no signature of it is ours")


if __name__ == "__main__":
    header = {name: os.environ.get(f"WEBHOOK_{name}", "") for name in ("ID", "TIMESTAMP", "SIGNATURE")}
    body = sys.stdin.buffer.read()  # the bytes: JSON that was read and written again has another signature
    try:
        verify(header["ID"], header["TIMESTAMP"], header["SIGNATURE"], os.environ["CALLBACK_SECRET"], body)
    except ValueError as wrong:
        sys.exit(f"not from payconfirm: {wrong}")  # answer 400
    event = json.loads(body)
    print(event["type"], event["subject"])  # drop what comes again (the same webhook-id), answer 204 within 10 s
