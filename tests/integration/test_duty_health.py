"""Health says which part doesn't answer, in time for whoever asks."""

import json
import socket
import threading
import time

import pytest
from kombu import Connection, Queue
from pydantic import SecretStr
from typer.testing import CliRunner

from config.settings import Settings
from tests import ledgers
from tests.integration.duty_house import open_house
from worker.duty import commands, health
from worker.relay.events import EXCHANGE
from worker.store.migrations import newest

#: Nobody listens there.
CLOSED = "127.0.0.1:1"


@pytest.fixture
def settings(database_url, redis_url, monkeypatch):
    """Settings of an environment that this test may change first."""

    def read(**environment):
        for name, value in ({"DATABASE_URL": database_url, "REDIS_URL": redis_url} | environment).items():
            monkeypatch.setenv(name, value)
        return Settings.read()

    return read


@pytest.fixture
def silent():
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def found(settings):
    return {part.part: (part.ok, part.detail) for part in health.look(settings)}


def test_all_is_well(settings):
    assert found(settings()) == {
        "database": (True, f"at revision {newest()}"),
        "redis": (True, "answers"),
        "broker": (True, "answers"),
        "events": (True, "none waits"),
    }


@pytest.mark.parametrize(
    ("part", "variable", "url"),
    [
        ("database", "DATABASE_URL", f"postgresql://shop:hunter2@{CLOSED}/shop"),
        ("redis", "REDIS_URL", f"redis://:hunter2@{CLOSED}/0"),
        ("broker", "BROKER_URL", f"redis://:hunter2@{CLOSED}/0"),
        ("broker", "BROKER_URL", f"amqp://shop:hunter2@{CLOSED}//"),
        ("events", "EVENTS_URL", f"redis://:hunter2@{CLOSED}/0"),
        ("events", "EVENTS_URL", f"amqp://shop:hunter2@{CLOSED}//"),
    ],
)
def test_the_part_that_does_not_answer_is_named(settings, redis_url, part, variable, url):
    environment = {"BROKER_URL": redis_url} | {variable: url}

    parts = found(settings(**environment))

    assert {name: ok for name, (ok, _) in parts.items()} == {
        name: name != part for name in ("database", "redis", "broker", "events")
    }
    assert "refused" in parts[part][1]
    assert "hunter2" not in str(parts)


def test_hosts_that_never_answer_take_a_few_seconds_altogether(settings, silent):
    began = time.monotonic()
    parts = found(settings(DATABASE_URL=f"postgresql://a:b@{silent}/c", REDIS_URL=f"redis://{silent}/0"))

    assert [ok for name, (ok, _) in parts.items() if name != "events"] == [False, False, False]
    assert time.monotonic() - began < health.ANSWER_SECONDS + 2


def test_nothing_is_waited_for_beyond_the_limit(settings, monkeypatch):
    """A name server that doesn't answer keeps a client for half a minute, whatever its time-outs."""
    for_ever = threading.Event()
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(health, "PROBES", {"database": lambda _: str(for_ever.wait())})

    assert found(settings()) == {"database": (False, "no answer within 0.1 s")}
    for_ever.set()


def test_events_that_wait_and_a_queue_that_nobody_reads_are_told_and_make_nobody_ill(
    settings, database_url, redis_url, monkeypatch
):
    monkeypatch.setattr(health, "LONG", 2)
    with open_house(database_url) as house, Connection(redis_url) as connection:
        Queue("shop", EXCHANGE, "payconfirm.*")(connection.channel()).declare()
        for number in range(4):
            connection.default_channel.client.lpush("shop", number)
        ledgers.rejected(house.ledger, ledgers.claimed(house.ledger, ledgers.order("r1")))

    ok, detail = found(settings())["events"]
    assert ok
    assert detail == ("1 wait, the oldest for 0 s, 4 in the queue shop (missed: 0): start its consumer or unbind it")


def test_a_database_without_the_schema_is_not_well(settings, database_url):
    with open_house(database_url) as house:
        house.run("DROP SCHEMA payconfirm CASCADE")

    ok, detail = found(settings())["database"]
    assert not ok
    assert detail == f"the schema isn't there, and this code needs {newest()}: run python -m worker migrate"


def test_a_schema_from_before_is_not_well(settings, database_url):
    with open_house(database_url) as house:
        house.run("UPDATE payconfirm.alembic_version SET version_num = '0000'")

    assert found(settings())["database"] == (
        False, f"its schema is at 0000, and this code needs {newest()}: run python -m worker migrate",
    )  # fmt: skip


def test_an_address_that_its_client_cannot_read_is_not_repeated(settings):
    """What stands where the port should be may be a piece of the password. Settings refuse what we know to be so."""
    parts = found(settings().model_copy(update={"broker_url": SecretStr("redis://:hunter/2@127.0.0.1/0")}))

    assert parts["broker"] == (False, "its address can't be read")


def test_the_command_says_it_by_its_exit_code(database_url, redis_url, monkeypatch):
    monkeypatch.setattr(commands.logs, "configure", lambda _: None)
    well = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    ill = well | {"BROKER_URL": f"redis://{CLOSED}/0"}

    good = CliRunner().invoke(commands.cli, ["health"], env=well)
    bad = CliRunner().invoke(commands.cli, ["health", "--json"], env=ill)

    assert (good.exit_code, good.stdout.splitlines()[0]) == (0, f"database: ok, at revision {newest()}")
    assert bad.exit_code == 1
    assert [part["ok"] for part in json.loads(bad.stdout)["parts"]] == [True, True, False, True]
