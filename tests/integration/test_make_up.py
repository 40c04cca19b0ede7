"""`make up`, and whose servers it and the demo stand on: the private ones, or somebody's."""

import json
import re
import signal
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
import pytest

from sandbox.demo import ground
from sandbox.servers import Addresses, ServerProblem
from sandbox.state import write_note
from tests.integration.demos import PATIENCE_SECONDS, ROOT, alive, demo_with, descendants, read_until, running


@pytest.fixture
def private(tmp_path, monkeypatch):
    """Addresses as `make up` printed them, set in somebody's shell."""
    monkeypatch.setattr(ground, "STATE", tmp_path)
    (tmp_path / "postgres.password").write_text("secret")
    ours = Addresses("postgresql://payconfirm:secret@127.0.0.1:20001/payconfirm", "redis://:other@127.0.0.1:20002/0")
    monkeypatch.setenv("DATABASE_URL", ours.database_url)
    monkeypatch.setenv("REDIS_URL", ours.redis_url)
    return ours


def test_private_servers_that_still_run_are_not_called_somebodys_own(private, tmp_path):
    write_note(tmp_path, private)

    told = ground.whose(ground.given_addresses())

    assert told.startswith("on the private servers that already run for this folder, 127.0.0.1:20001 (PostgreSQL)")


def test_private_servers_that_have_ended_are_told_from_somebodys_that_are_down(private, monkeypatch):
    with pytest.raises(ServerProblem, match="private servers of an earlier `make up`, which have ended: unset them"):
        ground.given_addresses()

    monkeypatch.setenv("DATABASE_URL", private.database_url.replace("secret", "theirs"))
    assert ground.whose(ground.given_addresses()).startswith("on your servers, 127.0.0.1:20001")


def test_the_lines_that_make_up_prints_confirm_a_payment_and_check_it(tmp_path):
    (tmp_path / "a_shop.py").write_text(
        "class Hook:\n    def on_commit(self, connection, order): pass\n\nhook = Hook()\n"
    )
    with running(*make_up(tmp_path), ORDER_HOOK="a_shop:hook", PYTHONPATH=str(tmp_path)) as house:
        first = house.stdout.readline()
        told = read_until(house, "Ctrl-C stops everything")
        pids = descendants(house.pid)
        curls = re.findall(r"^  (curl (?:.*\\\n)?.*)$", told, re.MULTILINE)
        (block,) = re.findall(r"^  export .*\n  .*explain .*\n  .*audit --gateway$", told, re.MULTILINE)
        (shop_url,) = re.findall(r"\n\nshop +(http://127\.0\.0\.1:\d+)\n", told)

        assert first == "starting PostgreSQL and Redis …\n"
        assert "ORDER_HOOK=a_shop:hook\n" in block
        assert "(unset them afterwards: with DATABASE_URL and REDIS_URL set, make demo and make up use those" in told
        assert shelves(shop_url)["vinyl-signed"] == 64_000

        opened, taken, result = (json.loads(run_shell(curl)) for curl in curls)

        assert opened.keys() == {"receipt_id"}
        assert taken["receipt_id"] == opened["receipt_id"]
        assert result["state"] == "confirmed"
        asked = run_shell(block.replace(".venv/bin/python", sys.executable))
        assert re.search(r"^state +confirmed\b", asked, re.MULTILINE)
        assert "all adds up" in asked

        with running(*make_up(tmp_path)) as second:
            assert "already running at 127.0.0.1:" in second.communicate(timeout=PATIENCE_SECONDS)[0]
            assert second.returncode == 2

        house.send_signal(signal.SIGINT)
        assert house.communicate(timeout=PATIENCE_SECONDS)[0] == "stopped; nothing is left running\n"
    assert house.returncode == 0
    assert alive(pids) == []


def test_on_given_servers_it_is_said_what_is_there_and_what_is_left(database_url, redis_url, tmp_path):
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}

    rushed = demo_with("--receipts", "20", **given)
    shelves = available(database_url)
    with running(*make_up(tmp_path), **given) as house:
        told = read_until(house, "Ctrl-C stops everything")

    assert rushed.returncode == 0, rushed.stdout + rushed.stderr
    for said in (rushed.stdout, told):
        assert re.match(r"on your servers, 127\.0\.0\.1:\d+ \(PostgreSQL\) and .*; unset them for private ones", said)
        assert "//" not in said.splitlines()[0]
        assert not any(urlsplit(url).password in said for url in given.values())
    assert "20 confirmations are left in that database." in rushed.stdout
    assert "nothing is kept" not in rushed.stdout
    assert "20 confirmations are there" in told.splitlines()[0]
    assert "is answered by the sandbox gateway" in told.splitlines()[0]
    assert available(database_url) == shelves


def make_up(folder):
    """`make up` with its state in this folder."""
    lines = f"import pathlib, sys, sandbox.demo.stay as stay; stay.STATE = pathlib.Path({str(folder / 'up')!r})"
    return sys.executable, "-c", f"{lines}; from sandbox.demo import main; sys.exit(main(['--stay']))"


def shelves(shop_url):
    """What the shop sells, and at which price."""
    return {goods["sku"]: goods["price"] for goods in json.loads(run_shell(f"curl -s {shop_url}/items"))}


def available(database_url):
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sku, available FROM payconfirm.stock")
        return dict(cursor.fetchall())


def run_shell(line):
    return subprocess.run(
        ["sh", "-ec", line], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    ).stdout
