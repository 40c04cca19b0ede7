"""A receiver believes what payconfirm has signed just now, and nothing else."""

import base64
import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

import payconfirm
from payconfirm.callbacks import verify
from worker.callbacks.signing import Signing

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(64))).decode()
EVENT = {
    "id": "01a2216e-40de-7458-a4c6-41cada172139",
    "type": "payconfirm.confirmed",
    "data": {"metadata": {"큰": "수"}},
}
BODY = json.dumps(EVENT, ensure_ascii=False).encode()


def signed(*secrets, body=BODY, message_id=EVENT["id"], at=None):
    return Signing(secrets or [SECRET]).headers(message_id, at or datetime.now(UTC), body)


def test_what_the_library_signs_is_verified_here_and_the_other_way_round():
    headers = signed()

    assert verify(BODY, headers, SECRET) == Webhook(SECRET).verify(BODY, headers) == EVENT


@given(body=st.dictionaries(st.text(), st.text()), key=st.binary(min_size=24, max_size=64))
def test_we_and_the_library_agree_on_every_body_and_key(body, key):
    secret = "whsec_" + base64.b64encode(key).decode()
    event = body | {"id": "x"}
    raw = json.dumps(event).encode()
    headers = signed(secret, body=raw, message_id="x")

    assert verify(raw, headers, secret) == Webhook(secret).verify(raw, headers) == event
    with pytest.raises(payconfirm.CallbackRefused):
        verify(raw + b" ", headers, secret)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(raw + b" ", headers)


@pytest.mark.parametrize("ours", [SECRET, OTHER, f"{OTHER} {SECRET}", [OTHER, SECRET], (SECRET,), SECRET.rstrip("=")])
@pytest.mark.parametrize("theirs", [(SECRET, OTHER), (OTHER, SECRET)])
def test_any_secret_of_either_side_is_enough(ours, theirs):
    assert verify(BODY, signed(*theirs), ours) == EVENT


@pytest.mark.parametrize("spelt", [str.upper, str.title, lambda name: "HTTP_" + name.upper().replace("-", "_")])
def test_header_names_are_read_however_they_are_written(spelt):
    headers = {spelt(name): value for name, value in signed().items()}

    assert verify(bytearray(BODY), headers, SECRET) == EVENT


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [..., "", None, "nonsense", "v1,", "v1", "v1,####", ",", " ", "-1", "1e9", "٣"])
def test_a_header_that_is_missing_or_nonsense_is_refused(name, value):
    headers = signed() | {name: value}
    if value is ...:
        del headers[name]

    with pytest.raises(payconfirm.CallbackRefused, match=r"webhook-|header"):
        verify(BODY, headers, SECRET)


def test_other_versions_and_what_others_add_are_passed_over():
    headers = signed()
    ours = headers["webhook-signature"]
    asymmetric = ours.replace("v1,", "v1a,")

    assert verify(BODY, headers | {"webhook-signature": f"v1,c2hvcnQ= nonsense {asymmetric} {ours}"}, SECRET) == EVENT
    with pytest.raises(payconfirm.CallbackRefused):
        verify(BODY, headers | {"webhook-signature": asymmetric}, SECRET)


@pytest.mark.parametrize("seconds", [-301, 301, 10**8])
def test_an_old_one_and_one_from_the_future_are_refused(seconds):
    headers = signed(at=datetime.now(UTC) + timedelta(seconds=seconds))

    with pytest.raises(payconfirm.CallbackRefused, match="300 s away"):
        verify(BODY, headers, SECRET)
    assert verify(BODY, headers, SECRET, tolerance_seconds=10**9) == EVENT


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp"])
def test_what_was_changed_under_its_signature_is_refused(part):
    headers = signed()
    changed = {"webhook-id": "another", "webhook-timestamp": str(int(time.time()) - 5)}[part]

    with pytest.raises(payconfirm.CallbackRefused, match="no signature"):
        verify(BODY, headers | {part: changed}, SECRET)


@pytest.mark.parametrize("message_id", [*map(chr, (0xD800, 0xDC80, 0xDFFF, 0, 0x10FFFF)), "x\ud800"])
def test_an_id_of_any_characters_is_refused_and_no_error_of_the_receiver_s(message_id):
    with pytest.raises(payconfirm.CallbackRefused, match=r"no signature|webhook-id isn't text"):
        verify(BODY, signed() | {"webhook-id": message_id}, SECRET)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff", b'{"id": "another"}', b"[" * 100_000])
def test_a_signed_body_that_is_no_event_is_refused(body):
    headers = {"webhook-id": EVENT["id"], "webhook-timestamp": str(int(time.time()))}
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    import hashlib  # noqa: PLC0415 — the library signs only text
    import hmac  # noqa: PLC0415 — as above

    mac = hmac.new(key, f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body, hashlib.sha256)
    headers["webhook-signature"] = "v1," + base64.b64encode(mac.digest()).decode()

    with pytest.raises(payconfirm.CallbackRefused, match="the body is signed, but"):
        verify(body, headers, SECRET)


@pytest.mark.parametrize(
    "secrets", ["", [], "whsec_", "whsec_c2hvcnQ=", "sec_" + SECRET[6:], SECRET + "!", [SECRET, "x"]]
)
def test_secrets_that_are_none_are_an_error_of_the_receiver_s_own_and_not_repeated(secrets):
    with pytest.raises(ValueError, match="secret") as wrong:
        verify(BODY, signed(), secrets)

    assert not isinstance(wrong.value, payconfirm.CallbackRefused)
    assert SECRET[6:] not in str(wrong.value)


def test_a_body_that_was_read_as_text_is_an_error():
    with pytest.raises(TypeError, match=re.escape("bytes as they came, not str")):
        verify(BODY.decode(), signed(), SECRET)  # type: ignore[arg-type]
