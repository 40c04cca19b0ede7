"""Every example that checks a callback's signature: what is let in, and what isn't, each by its own process."""

import base64
import hmac
import json
import time
from dataclasses import dataclass

import pytest

from tests.examples.languages import LANGUAGES, run

EVENT = {
    "specversion": "1.0",
    "id": "0192f0c1-7e10-7cc3-9d2a-0c8f1d5b7a11",
    "source": "payconfirm",
    "type": "payconfirm.confirmed",
    "subject": "5afd6be8e13f33616f2876ac",
    "data": {"order_id": '주문 "1001"', "state": "confirmed", "metadata": {"note": "é\n"}},
}
#: The very bytes count: blanks, an end of line and letters beyond ASCII are part of what is signed.
BODY = json.dumps(EVENT, ensure_ascii=False, indent=1).encode() + b"\n"
OURS, OTHERS, EMPTY = (f"whsec_{base64.b64encode(key).decode()}" for key in (bytes(range(224, 256)), b"o" * 32, b""))
MINUTE = 60


@dataclass(frozen=True)
class Callback:
    """One callback as it arrives, and the secrets of the shop that it arrives at."""

    body: bytes = BODY
    seconds_ago: int = 0
    signed_with: tuple[str, ...] = (OURS,)
    secrets: str = OURS
    signature: str | None = None
    timestamp: str | None = None
    id: str = EVENT["id"]
    signed_id: str = EVENT["id"]

    def variables(self) -> dict[str, str]:
        """Give what the program is told: the headers, signed as Standard Webhooks says, and the secrets."""
        timestamp = str(int(time.time()) - self.seconds_ago) if self.timestamp is None else self.timestamp
        content = f"{self.signed_id}.{timestamp}.".encode() + BODY
        signatures = [_signature(base64.b64decode(secret[6:]), content) for secret in self.signed_with]
        return {
            "WEBHOOK_ID": self.id,
            "WEBHOOK_TIMESTAMP": timestamp,
            "WEBHOOK_SIGNATURE": " ".join(signatures) if self.signature is None else self.signature,
            "CALLBACK_SECRET": self.secrets,
        }


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


GENUINE = {
    "signed by our secret": Callback(),
    "signed by two secrets, ours the second": Callback(signed_with=(OTHERS, OURS)),
    "signed by the second of our secrets": Callback(secrets=f"{OTHERS} {OURS}"),
    "four minutes old": Callback(seconds_ago=4 * MINUTE),
}
SPOILT = {
    "with another body": Callback(body=BODY.replace(b"confirmed", b"rejected", 1)),
    "with its last byte missing": Callback(body=BODY[:-1]),
    "under another id": Callback(id="0192f0c1-7e10-7cc3-9d2a-0c8f1d5b7a12"),
    "signed by a secret that isn't ours": Callback(signed_with=(OTHERS,)),
    "six minutes old": Callback(seconds_ago=6 * MINUTE),
    "of the future": Callback(seconds_ago=-6 * MINUTE),
    "whose time is no number": Callback(timestamp="now"),
    "without a signature": Callback(signature=""),
    "signed with half a signature": Callback(signature="v1,"),
    "signed by nobody, at a shop without a secret": Callback(signed_with=(EMPTY,), secrets=""),
    "signed by nobody, at a shop with two blanks between its secrets": Callback(
        signed_with=(EMPTY,), secrets=f"{OTHERS}  {OURS}"
    ),
}


def arrives(callback, language, folders):
    folder = folders.of(language)
    return run(LANGUAGES[language].verify, folder, callback.variables(), given=callback.body)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_genuine_callback_is_let_in(language, folders):
    for name, callback in GENUINE.items():
        ended = arrives(callback, language, folders)

        assert (ended.code, ended.out) == (0, f"{EVENT['type']} {EVENT['subject']}\n"), f"{name}: {ended}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_spoilt_callback_is_kept_out_and_the_reason_is_said(language, folders):
    for name, callback in SPOILT.items():
        ended = arrives(callback, language, folders)

        assert (ended.code, ended.out) == (1, ""), f"{name}: {ended}"
        assert "not from payconfirm: " in ended.complaints, f"{name}: {ended}"
