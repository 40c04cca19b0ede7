"""How a broker's address is spelt, and what is made of it."""

import pytest
from kombu import Connection

from config.celery import QUEUE, configuration
from config.settings import Role, Settings, SettingsError
from payconfirm.sentinel import read_sentinels
from worker.broker.redis import make_async_redis, make_redis
from worker.broker.transport import SentinelTransport

PLAIN = "sentinel://:pass-word@one.example:26380,two.example/3?master_name=shop"


def settings(**urls):
    addresses = {"database_url": "postgresql://h/d", "redis_url": "redis://h", **urls}
    return Settings(role=Role.OTHER, **addresses)


@pytest.mark.parametrize(
    "url",
    [
        PLAIN,
        "sentinel://:pass-word@one.example:26380;sentinel://:pass-word@two.example:26379/3?master_name=shop",
        "sentinel://one.example:26380;sentinel://:pass%2Dword@two.example/3?master_name=shop",
    ],
)
def test_sentinels_are_named_with_commas_or_as_kombu_does(url):
    read = read_sentinels(url)

    assert read.hosts == (("one.example", 26380), ("two.example", 26379))
    assert (read.password, read.database, read.master_name) == ("pass-word", 3, "shop")


def test_every_part_of_a_password_and_of_an_address_is_kept():
    read = read_sentinels("sentinel://user:p%40%2C%3B%2F@[::1]:5,b/0?master_name=m&sentinel_password=q%26a")

    assert (read.username, read.password, read.sentinel_password) == ("user", "p@,;/", "q&a")
    assert read.hosts == (("::1", 5), ("b", 26379))
    assert read.kombu_url == "sentinel://user:p%40%2C%3B%2F@[::1]:5/0;sentinel://user:p%40%2C%3B%2F@b:26379/0"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sentinel://:pass-word@one.example/0", "master's name"),
        ("sentinel://:pass-word@one.example/0?master=shop", "knows no more than master_name"),
        ("sentinel://:pass-word@one.example,/0?master_name=shop", "host:port"),
        ("sentinel://:pass-word@one.example:door/0?master_name=shop", "host:port"),
        ("sentinel://:pass-word@one.example/first?master_name=shop", "number of a database"),
        ("sentinel://one.example;redis://:pass-word@two.example/0?master_name=shop", "is an address such as"),
    ],
)
@pytest.mark.parametrize("variable", ["redis_url", "broker_url", "events_url"])
def test_an_address_of_sentinels_that_cant_be_used_is_named_and_not_repeated(variable, url, why, monkeypatch):
    for name, value in {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", variable.upper(): url}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=why) as refused:
        Settings.read()

    assert f"{variable.upper()}: " in str(refused.value)
    assert "pass-word" not in str(refused.value)


def test_celery_is_told_about_sentinels_as_kombu_wants_it():
    told = configuration(settings(redis_url=PLAIN))

    with Connection(told["broker_read_url"], transport=SentinelTransport) as connection:
        assert connection.alt == [
            "sentinel://:pass-word@one.example:26380/3",
            "sentinel://:pass-word@two.example:26379/3",
        ]
    assert told["broker_transport_options"]["master_name"] == "shop"


@pytest.mark.parametrize("make", [make_redis, make_async_redis])
def test_the_masters_password_and_database_are_not_the_sentinels(make):
    pool = make(f"{PLAIN}&sentinel_password=own").connection_pool

    assert (pool.connection_kwargs["password"], pool.connection_kwargs["db"]) == ("pass-word", 3)
    (asked, _) = pool.sentinel_manager.sentinels
    assert asked.connection_pool.connection_kwargs["password"] == "own"


def test_on_rabbitmq_nothing_is_dropped_and_celery_declares_nothing():
    queues = {queue.name: queue for queue in configuration(settings(broker_url="amqp://h"))["task_queues"]}

    for queue in queues.values():
        assert queue.no_declare
        assert queue.queue_arguments["x-dead-letter-exchange"] == "payconfirm.dead"
        assert queue.queue_arguments["x-dead-letter-strategy"] == "at-least-once"
    assert QUEUE in queues
