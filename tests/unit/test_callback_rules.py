"""When a callback is sent again, which secrets there may be, and which process reads them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Role, Settings, SettingsError
from worker.app import role_of
from worker.callbacks.retries import LONGEST_WISH, WAITS, read_wish, wait_after

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
GOOD = "whsec_" + base64.b64encode(b"k" * 24).decode()
UNPADDED = "whsec_" + base64.b64encode(b"k" * 25).decode().rstrip("=")


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("REDIS_URL", "redis://h/0")
    return monkeypatch


@pytest.mark.parametrize("attempt", range(1, 8))
def test_a_wait_is_the_table_s_and_up_to_a_tenth_more(attempt):
    assert wait_after(attempt, None, 0) == WAITS[attempt - 1]
    assert wait_after(attempt, None, 1) == WAITS[attempt - 1] * 1.1


def test_after_the_last_one_there_is_none_whatever_the_shop_wishes():
    assert wait_after(8, None, 0) is None
    assert wait_after(9, timedelta(seconds=5), 0) is None


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("-1", None),
        ("0", timedelta()),
        (" 120 ", timedelta(minutes=2)),
        ("9" * 400, LONGEST_WISH),
        ("Sat, 28 Nov 2026 12:01:00 GMT", timedelta(minutes=1)),
        ("Sat, 28 Nov 2026 12:01:00 -0000", timedelta(minutes=1)),
        ("Sat, 28 Nov 2026 11:00:00 GMT", timedelta()),
        ("Sat, 99 Nov 2026 11:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2027 00:00:00 +99999999999999999", None),
    ],
)
def test_a_retry_after_is_read_as_seconds_or_a_date(said, wish):
    assert read_wish(said, NOW) == wish


def test_a_wish_is_never_earlier_than_the_table_nor_later_than_a_day():
    assert wait_after(1, timedelta(seconds=1), 0) == WAITS[0]
    assert wait_after(1, timedelta(hours=1), 0) == timedelta(hours=1)
    assert wait_after(1, timedelta(days=9), 0) == LONGEST_WISH


@pytest.mark.parametrize("secret", [GOOD, f"{GOOD} {UNPADDED}", "whsec_" + base64.b64encode(b"k" * 64).decode(), ""])
def test_secrets_that_are_taken(environment, secret):
    environment.setenv("CALLBACK_SECRET", secret)

    assert Settings.read(Role.CALLBACKS).callback_secret.get_secret_value() == secret


@pytest.mark.parametrize(
    "secret",
    ["hush-hush", GOOD[6:], f"{GOOD} hush", "whsec_", "whsec_" + base64.b64encode(b"k" * 23).decode(),
     "whsec_" + base64.b64encode(b"k" * 65).decode(), GOOD + "!", "whsec_" + "\u00e9" * 40],
)  # fmt: skip
@pytest.mark.parametrize("role", [Role.CALLBACKS, Role.OTHER])
def test_nonsense_is_refused_by_name_and_never_repeated(environment, secret, role):
    environment.setenv("CALLBACK_SECRET", secret)

    with pytest.raises(SettingsError) as refused:
        Settings.read(role)

    assert "CALLBACK_SECRET: is whsec_ and the base64 of 24 to 64 bytes" in str(refused.value)
    assert not any(word in str(refused.value) for word in secret.split() if word != "whsec_")


@pytest.mark.parametrize("hosts", ["", "shop.example *.hooks.example localhost", "10.0.0.7 ::1 [fd00::7]"])
def test_hosts_that_are_taken(environment, hosts):
    environment.setenv("CALLBACK_ALLOWED_HOSTS", hosts)

    assert Settings.read().callback_allowed_hosts == hosts


@pytest.mark.parametrize(
    "host", ["https:", "shop.example:8443", "[::1]:8443", "[::1", "fe80::1%2", "*", "*.", ".shop.example", "훅.example"]
)
def test_a_host_that_no_address_could_ever_have_is_refused(environment, host):
    """It would be taken in silence, and every callback there fail."""
    environment.setenv("CALLBACK_ALLOWED_HOSTS", f"shop.example {host}")

    with pytest.raises(SettingsError, match="CALLBACK_ALLOWED_HOSTS: is a list of hosts without ports"):
        Settings.read()


def test_the_process_of_callbacks_needs_a_secret_once_there_are_hosts_and_no_keys_of_the_gateway(environment):
    assert Settings.read(Role.CALLBACKS)

    environment.setenv("CALLBACK_ALLOWED_HOSTS", "shop.example")
    assert Settings.read(Role.OTHER)
    with pytest.raises(SettingsError, match="CALLBACK_SECRET: is needed"):
        Settings.read(Role.CALLBACKS)


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ("celery -A worker.app worker --queues payconfirm.callbacks --pool threads", Role.CALLBACKS),
        ("celery -A worker.app worker --queues=payconfirm.callbacks", Role.CALLBACKS),
        ("celery -A worker.app worker -Q payconfirm.callbacks", Role.CALLBACKS),
        ("celery -A worker.app worker --queues payconfirm.again,payconfirm", Role.WORKER),
        ("celery -A worker.app worker", Role.WORKER),
        # Refused by Celery as the queue isn't known there: callbacks take no thread of a payment's.
        ("celery -A worker.app worker --queues payconfirm,payconfirm.callbacks", Role.WORKER),
    ],
)
def test_its_queues_say_what_a_process_is(words, role):
    assert role_of(words.split()) is role
