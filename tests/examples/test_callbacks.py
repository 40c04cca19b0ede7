"""Every example that checks a callback's signature: what is let in, and what isn't, each by its own process."""

import base64
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
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
OURS, OTHERS, EMPTY, SHORT, LONG = (
    f"whsec_{base64.b64encode(key).decode()}" for key in (bytes(range(224, 256)), b"o" * 32, b"", b"k" * 23, b"k" * 65)
)
MINUTE = 60


@dataclass(frozen=True)
class Callback:
    """One callback as it arrives, and the secrets of the shop that it arrives at."""

    body: bytes = BODY
    seconds_ago: int = 0
    signed_with: tuple[str, ...] = (OURS,)
    secrets: str = OURS
    unset: str | None = None
    signature: str | None = None
    timestamp: str | None = None
    id: str = EVENT["id"]
    signed_id: str = EVENT["id"]

    def variables(self) -> dict[str, str]:
        """Give what the program is told: the headers, signed as Standard Webhooks says, and the secrets."""
        timestamp = str(int(time.time()) - self.seconds_ago) if self.timestamp is None else self.timestamp
        content = f"{self.signed_id}.{timestamp}.".encode() + BODY
        signatures = [_signature(base64.b64decode(secret[6:]), content) for secret in self.signed_with]
        variables = {
            "WEBHOOK_ID": self.id,
            "WEBHOOK_TIMESTAMP": timestamp,
            "WEBHOOK_SIGNATURE": " ".join(signatures) if self.signature is None else self.signature,
            "CALLBACK_SECRET": self.secrets,
        }
        return {name: value for name, value in variables.items() if name != self.unset}


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


GENUINE = {
    "signed by our secret": Callback(),
    "signed by two secrets, ours the second": Callback(signed_with=(OTHERS, OURS)),
    "signed by the second of our secrets": Callback(secrets=f"{OTHERS} {OURS}"),
    "signed by a secret whose padding was left out": Callback(secrets=OURS.rstrip("=")),
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
    "signed by nobody, at a shop with two blanks between its secrets": Callback(
        signed_with=(EMPTY,), secrets=f"{OTHERS}  {OURS}"
    ),
}
#: No secret, one without a key and one that isn't base64 have a key that anybody knows: the empty one.
UNCHECKED = {
    "signed by nobody, at a shop without a secret": ("CALLBACK_SECRET", Callback(signed_with=(EMPTY,), secrets="")),
    "signed by nobody, at a shop without a key": ("CALLBACK_SECRET", Callback(signed_with=(EMPTY,), secrets=EMPTY)),
    "signed by nobody, at a shop whose key is no base64": (
        "CALLBACK_SECRET",
        Callback(signed_with=(EMPTY,), secrets="whsec_!!"),
    ),
    "at a shop whose second secret has no key": ("CALLBACK_SECRET", Callback(secrets=f"{OURS} {EMPTY}")),
    "at a shop with a short secret": ("CALLBACK_SECRET", Callback(signed_with=(SHORT,), secrets=SHORT)),
    "at a shop with a long secret": ("CALLBACK_SECRET", Callback(signed_with=(LONG,), secrets=LONG)),
    "at a shop whose secret lacks its beginning": ("CALLBACK_SECRET", Callback(secrets=OURS.removeprefix("whsec_"))),
    **{
        f"at a program without {name}": (name, Callback(unset=name))
        for name in ("CALLBACK_SECRET", "WEBHOOK_ID", "WEBHOOK_TIMESTAMP", "WEBHOOK_SIGNATURE")
    },
}


def arrive(callbacks, language, folders):
    """Give each callback to a process of its own, two at a time, and say how it ended."""
    folder = folders.of(language)

    def arrives(callback):
        return run(LANGUAGES[language].verify, folder, callback.variables(), given=callback.body)

    with ThreadPoolExecutor(2) as pool:
        yield from zip(callbacks, pool.map(arrives, callbacks.values()), strict=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_genuine_callback_is_let_in(language, folders):
    for name, ended in arrive(GENUINE, language, folders):
        assert (ended.code, ended.out) == (0, f"{EVENT['type']} {EVENT['subject']}\n"), f"{name}: {ended}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_spoilt_callback_is_kept_out_and_the_reason_is_said(language, folders):
    for name, ended in arrive(SPOILT, language, folders):
        assert (ended.code, ended.out) == (1, ""), f"{name}: {ended}"
        assert "not from payconfirm: " in ended.complaints, f"{name}: {ended}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_cannot_be_checked_is_kept_out_and_the_variable_is_named(language, folders):
    """Its code isn't a forged one's: the callback may be genuine, so it must come again."""
    callbacks = {name: callback for name, (_, callback) in UNCHECKED.items()}
    for name, ended in arrive(callbacks, language, folders):
        assert (ended.code, ended.out) == (2, ""), f"{name}: {ended}"
        assert ended.complaints.startswith("can't check: "), f"{name}: {ended}"
        assert UNCHECKED[name][0] in ended.complaints, f"{name}: {ended}"
        assert ended.complaints.count("\n") == 1, f"{name}: {ended}"
