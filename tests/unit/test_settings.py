"""What the environment may say, and how a process complains about it."""

from urllib.parse import quote

import pytest

from config.settings import Role, Settings, SettingsError, load
from payconfirm import Client

GOOD = {
    "DATABASE_URL": "postgresql://shop:pass-word@db.example/shop",
    "REDIS_URL": "redis://:pass-word@redis.example/0",
    "BOOTPAY_CLIENT_KEY": "client",
    "BOOTPAY_SECRET_KEY": "pass-word",
}


@pytest.fixture
def environment(monkeypatch):
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def complaints(role=Role.WORKER):
    with pytest.raises(SettingsError) as refused:
        Settings.read(role)
    return str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"])
def test_the_database_is_always_spoken_to_by_psycopg2_however_it_is_spelt(environment, scheme):
    environment.setenv("DATABASE_URL", f"{scheme}://u@h/d")

    assert Settings.read(Role.OTHER).database_url.get_secret_value() == "postgresql+psycopg2://u@h/d"


def test_broker_and_events_default_to_redis_and_events_to_the_broker(environment):
    assert Settings.read(Role.OTHER).events == Settings.read(Role.OTHER).broker == GOOD["REDIS_URL"]

    environment.setenv("BROKER_URL", "amqp://rabbit.example//")
    assert Settings.read(Role.OTHER).events == "amqp://rabbit.example//"


def test_an_empty_variable_is_an_unset_one(environment):
    environment.setenv("BROKER_URL", "")
    environment.setenv("LOOKUP_SECONDS", "")

    assert Settings.read(Role.OTHER).lookup_seconds == 5


def test_every_variable_that_is_wrong_is_named_in_one_go(environment):
    for name, value in {
        "DATABASE_URL": "mysql://h/d",
        "REDIS_URL": "http://h",
        "LOOKUP_SECONDS": "soon",
        "SUBMIT_SECONDS": "16",
        "BOOTPAY_API": "v3",
        "BOOTPAY_URL": "https://api.bootpay.co.kr/v2",
        "BOOTPAY_SECRET_KEY": "",
        "WORKER_CONCURRENCY": "0",
        "WEB_PORT": "70000",
        "POST_RATE": "-1",
        "LOG_LEVEL": "loud",
    }.items():
        environment.setenv(name, value)

    said = complaints()

    for name in ("DATABASE_URL", "REDIS_URL", "LOOKUP_SECONDS", "SUBMIT_SECONDS", "BOOTPAY_API", "BOOTPAY_URL",
                 "BOOTPAY_SECRET_KEY", "WORKER_CONCURRENCY", "WEB_PORT", "POST_RATE", "LOG_LEVEL"):  # fmt: skip
        assert f"{name}: " in said


def test_a_missing_variable_is_called_missing(environment):
    environment.delenv("DATABASE_URL")

    assert "DATABASE_URL: is missing" in complaints()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUBMIT_SECONDS", "14.5"),
        ("LOOKUP_SECONDS", "6.5"),
        ("SUBMIT_LEASE_SECONDS", "19.5"),
        ("STATEMENT_SECONDS", "7"),
    ],
)
def test_a_lease_outlives_its_call_and_the_commit_and_ends_within_what_is_promised(environment, name, value):
    environment.setenv(name, value)

    assert "SECONDS: " in complaints()


def test_a_worker_needs_keys_for_its_version_and_others_need_none(environment):
    environment.setenv("BOOTPAY_API", "v1")
    assert "BOOTPAY_APPLICATION_ID" in complaints()
    assert "BOOTPAY_APPLICATION_ID" in complaints(Role.AUDIT)

    environment.delenv("BOOTPAY_SECRET_KEY")
    assert Settings.read(Role.OTHER)


def test_a_web_process_that_others_can_reach_needs_api_keys(environment):
    environment.setenv("WEB_HOST", "0.0.0.0")
    assert "API_KEYS" in complaints(Role.WEB)

    environment.setenv("API_KEYS", "one two")
    assert Settings.read(Role.WEB)


@pytest.mark.parametrize(
    "named", ["shop", "shop:", ":hook", "shop.orders.hook", "shop/orders.py:hook", "shop:a:b", "a..b:c"]
)
def test_a_hook_that_names_no_object_is_refused(environment, named):
    environment.setenv("ORDER_HOOK", named)

    assert "ORDER_HOOK: is module:object" in complaints()


@pytest.mark.parametrize("role", [Role.WORKER, Role.WEB])
@pytest.mark.parametrize(
    ("named", "why"), [("nowhere.orders:hook", "nowhere.orders can't be imported"), ("json:hook", "json has no hook")]
)
def test_a_hook_that_isnt_there_is_named_with_all_else_that_is_wrong(environment, role, named, why):
    environment.setenv("ORDER_HOOK", named)
    environment.setenv("LOG_FORMAT", "poem")

    said = complaints(role)

    assert f"ORDER_HOOK: {why}" in said
    assert "LOG_FORMAT: " in said


@pytest.mark.parametrize("role", [Role.OTHER, Role.CALLBACKS, Role.AUDIT])
def test_who_has_no_part_in_the_orders_needs_no_hook(environment, role):
    environment.setenv("ORDER_HOOK", "nowhere.orders:hook")

    assert Settings.read(role).order_hook == "nowhere.orders:hook"


@pytest.mark.parametrize("name", ["POST_RATE", "GATEWAY_RATE", "CONFIRM_DEADLINE_SECONDS", "LOOKUP_SECONDS"])
@pytest.mark.parametrize("value", ["inf", "nan", "-1"])
def test_a_number_that_is_none_is_refused(environment, name, value):
    environment.setenv(name, value)

    assert f"{name}: " in complaints()


def test_a_deadline_beyond_all_calendars_is_refused(environment):
    environment.setenv("CONFIRM_DEADLINE_SECONDS", "1e12")

    assert "CONFIRM_DEADLINE_SECONDS: Input should be less than or equal to 2592000" in complaints()


PASSWORDS = ["pass-word/x", "pass-word#x", "pass-word?x", "pass-word@x", "pass-word:x/y", "1234/pass-word@x"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://u:{}@h:5432/d"),
        ("REDIS_URL", "redis://:{}@h:6379/0"),
        ("BROKER_URL", "amqp://u:{}@h//"),
        ("EVENTS_URL", "rediss://u:{}@h:6379/0"),
    ],
)
def test_a_password_that_makes_its_address_another_is_refused_and_not_shown(environment, name, url, password):
    """
    What libraries take for a port then is half a password, and they show it.
    """
    environment.setenv(name, url.format(password))

    said = complaints()

    assert f"{name}: " in said
    assert "pass-word" not in said


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_client_shows_no_part_of_such_an_address_either(password):
    for urls in [(f"redis://:{password}@h",), ("redis://h", f"redis://:{password}@h")]:
        with pytest.raises(ValueError, match="'s URL ") as refused:
            Client.from_url(*urls)
        assert "pass-word" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DATABASE_URL", "postgresql://", "names no database"),
        ("DATABASE_URL", "postgresql://u:p@h:port/d", "can't be read"),
        ("DATABASE_URL", "postgresql://u:p@[::1/d", "can't be read"),
        ("REDIS_URL", "redis://", "names no host"),
        ("REDIS_URL", "redis://h:99999/0", "can't be read"),
        ("REDIS_URL", "redis://h/abc", "ends with the number of a database"),
        ("BROKER_URL", "amqp://", "names no host"),
        ("REDIS_URL", "redis://:p@one/0;redis://:p@two/0", "names one server"),
        ("BROKER_URL", "amqp://one//;amqp://two:x//", "can't be read"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(environment, name, value, why):
    environment.setenv(name, value)

    assert f"{name}: {why}" in complaints()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql:///shop"),
        ("DATABASE_URL", "postgresql:///?host=/var/run/postgresql&dbname=shop"),
        ("DATABASE_URL", "postgresql://u:p%40%2Fq@h/d?sslmode=require"),
        ("REDIS_URL", "redis://h"),
        ("BROKER_URL", "redis://h//"),
        ("REDIS_URL", "rediss://u:p%23q@[::1]:6379/1?ssl_cert_reqs=required"),
        ("BROKER_URL", "amqp://u:p@one:5672//;amqp://u:p@two:5672//"),
        ("BROKER_URL", "amqps://u:p@h/my%2Fhost"),
        ("DATABASE_URL", "postgresql://u:p;q@/d?host=one:5432&host=two:5432"),
    ],
)
def test_an_address_as_people_write_it_is_taken(environment, name, value):
    environment.setenv(name, value)

    assert Settings.read(Role.OTHER)


@pytest.mark.parametrize("sign", "/?#@[;")
def test_a_sign_that_makes_an_address_another_is_told_as_it_must_be_written(environment, sign):
    environment.setenv("BROKER_URL", f"redis://:pass{sign}word@h/0")

    assert quote(sign, safe="") in complaints()


@pytest.mark.parametrize("keys", ["k\x01", "주문", "a\x7fb"])
def test_a_key_that_no_header_can_hold_is_refused(environment, keys):
    environment.setenv("OPERATOR_KEYS", keys)

    assert "OPERATOR_KEYS: " in complaints(Role.WEB)


def test_keys_may_stand_in_lines(environment):
    """
    A file that becomes a variable often ends with one.
    """
    environment.setenv("API_KEYS", "one\ntwo\n")

    assert Settings.read(Role.WEB)


def test_a_producers_key_is_no_operators(environment):
    environment.setenv("API_KEYS", "one two")
    environment.setenv("OPERATOR_KEYS", "three two")

    assert "OPERATOR_KEYS: has a key of API_KEYS" in complaints(Role.WEB)


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost"])
def test_a_web_process_that_only_this_machine_reaches_needs_no_keys(environment, host):
    environment.setenv("WEB_HOST", host)

    assert Settings.read(Role.WEB)


def test_no_secret_stands_in_a_complaint_or_in_what_is_printed(environment):
    environment.setenv("DATABASE_URL", "mysql://shop:pass-word@h/d")
    environment.setenv("REDIS_URL", "nonsense://:pass-word@h")

    assert "pass-word" not in complaints()
    environment.setenv("DATABASE_URL", GOOD["DATABASE_URL"])
    environment.setenv("REDIS_URL", GOOD["REDIS_URL"])
    assert "pass-word" not in repr(Settings.read(Role.WORKER))


def test_a_process_ends_with_the_complaints_and_code_2(environment, capsys):
    environment.delenv("REDIS_URL")

    with pytest.raises(SystemExit) as ended:
        load(Role.OTHER)

    assert ended.value.code == 2
    assert "REDIS_URL: is missing" in capsys.readouterr().err
