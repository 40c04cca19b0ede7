"""`make demo` and `make up`: the whole house on one machine, and that it tells when something doesn't add up."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import psycopg2
import pytest
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from rich.console import Console

from sandbox.demo import ground, interrupts, report
from sandbox.demo.cast import SCARCE, Door, Kind, invite, stock_for
from sandbox.demo.checks import Books, Done, complaints
from sandbox.demo.doors import RESULT_KEY, Doors, Turned
from sandbox.demo.plan import ONCE, Deed
from sandbox.demo.programs import HouseProblem, Program, read_procfile, stop
from sandbox.demo.rush import Ending
from sandbox.servers import Addresses, ServerProblem
from sandbox.state import write_note

ROOT = Path(__file__).parents[2]
DEMO = (sys.executable, "-m", "sandbox", "demo")
STARTED, OPEN = " are up (", "stock is there"
#: As few as still show everything.
FEW = ("--receipts", "60", "--seed", "2")
#: A machine that does everything else at the same time.
PATIENCE_SECONDS = 90


@contextmanager
def running(*command, **environment):
    """Start a command with its output in a pipe, in a group of its own, and make sure that it ends."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def read_until(process, words):
    """Read the output up to and with the line that holds these words."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"it never said {words!r}: {''.join(lines)}")


def descendants(pid):
    """The ids of all processes below this one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(map(int, line.split()) for line in listed.splitlines())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pids):
    """Those that still run; what nobody has waited for yet has ended all the same."""
    asked = ["ps", "-o", "pid=,stat=,args=", "-p", ",".join(map(str, pids))]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if not line.split()[1].startswith("Z")]


@pytest.mark.timeout(240)  # either has the machine for half the time
def test_two_demos_beside_each_other_both_add_up():
    with running(*DEMO, "--receipts", "60") as first, running(*DEMO, "--receipts", "60", "--seed", "2") as second:
        below = [descendants_when_open(demo) for demo in (first, second)]
        said = [demo.communicate(timeout=PATIENCE_SECONDS)[0] for demo in (first, second)]

    for demo, text, pids in zip((first, second), said, below, strict=True):
        assert demo.returncode == 0, text
        assert re.search(r"^ +\d+ +confirmed +charged once", text, re.MULTILINE), text
        assert re.search(r"^ +\d+ +rejected +out_of_stock ", text, re.MULTILINE)
        assert re.search(r"won kept there = [\d,]+ won confirmed here", text)
        assert re.search(r"^ +3 +3 +0 +Signed vinyl", text, re.MULTILINE)
        assert "Everything adds up." in text
        assert max(map(len, text.splitlines()[3:])) <= 80
        assert len(pids) > 8
        assert alive(pids) == []


def descendants_when_open(demo):
    read_until(demo, OPEN)
    return descendants(demo.pid)


@pytest.mark.timeout(300)  # as above; and whatever was begun by a worker that is killed waits for its lease, 18 s
def test_workers_and_servers_are_killed_in_the_midst_of_a_rush_and_everything_adds_up():
    """Beside each other, since most of the time of each is waiting for leases to end."""
    with running(*DEMO, "--kill", *FEW) as kill, running(*DEMO, "--chaos", *FEW) as chaos:
        below = [descendants_when_open(demo) for demo in (kill, chaos)]
        said = [demo.communicate(timeout=2 * PATIENCE_SECONDS)[0] for demo in (kill, chaos)]

    for demo, text, pids in zip((kill, chaos), said, below, strict=True):
        assert demo.returncode == 0, text
        assert "Everything adds up." in text
        assert re.search(r"^ +\d+ +confirmed +charged once", text, re.MULTILINE), text
        assert re.search(r"won kept there = [\d,]+ won confirmed here", text)
        assert "Charged twice  no receipt" in text
        assert "audit --gateway`: nothing found" in text
        assert re.search(r"What it took +the slowest receipt took \d+\.\d s", text)
        assert re.search(r"Nothing lost +60 of 60 receipts ended as they should", text)
        assert how_often("worker killed", text) == len(re.findall(r" s  worker-\d killed$", text, re.MULTILINE)) > 0
        assert how_often("copy of a document", text) > 0
        assert max(map(len, text.splitlines()[3:])) <= 80
        assert alive(pids) == []
    assert [how_often(deed.value, said[0]) for deed in ONCE] == [0] * len(ONCE)
    assert [how_often(deed.value, said[1]) for deed in ONCE] == [1] * len(ONCE), said[1]
    for fault in ("answer of the gateway lost", "answer of the gateway late", "error of the gateway", "refused by"):
        assert how_often(fault, said[0]) == 0 < how_often(fault, said[1]), fault
    assert "they sent the same document again, which is the same job" in " ".join(said[1].split())
    assert "Asked again" not in said[0]


def how_often(deed, text):
    """What the report counts of this."""
    counted = re.search(rf"^ +(\d+) +[a-z ]*{re.escape(deed)}", text, re.MULTILINE)
    return int(counted[1]) if counted else 0


@pytest.mark.parametrize("words", ["postgres killed", "stopped"])
def test_a_demo_that_is_interrupted_in_the_chaos_leaves_nothing_running(words):
    """While a server is away, and while a worker is stopped that wouldn't hear of the end."""
    with running(*DEMO, "--chaos", *FEW) as demo:
        read_until(demo, words)
        pids = descendants(demo.pid)

        demo.send_signal(signal.SIGINT)
        said = demo.communicate(timeout=PATIENCE_SECONDS)[0]

    assert_stopped(demo, said, pids)


@pytest.mark.parametrize(("words", "number"), [(STARTED, signal.SIGINT), (OPEN, signal.SIGINT), (OPEN, signal.SIGTERM)])
def test_a_demo_that_is_interrupted_leaves_nothing_running(words, number):
    with running(*DEMO) as demo:
        read_until(demo, words)
        pids = descendants(demo.pid)

        demo.send_signal(number)
        said = demo.communicate(timeout=PATIENCE_SECONDS)[0]

    assert_stopped(demo, said, pids)


@pytest.mark.parametrize("moment", ["worker migrate", "runpy", "worker audit"])
def test_ctrl_c_in_a_terminal_stops_a_demo_whatever_it_is_doing(moment):
    """A terminal tells every process of the group; and people who are in a hurry press it twice."""
    with running(*DEMO, "--receipts", "20") as demo:
        pids = descendants_when(demo, moment)

        for _ in range(2):
            os.killpg(demo.pid, signal.SIGINT)
        said = demo.communicate(timeout=PATIENCE_SECONDS)[0]

    assert_stopped(demo, said, pids)


def assert_stopped(demo, said, pids):
    assert demo.returncode == 130
    assert said.endswith("stopped; nothing is left running\n")
    assert "Traceback" not in said
    assert pids
    assert alive(pids) == []


def descendants_when(demo, moment):
    """The processes below, as soon as one of them is a program with these words."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        pids = descendants(demo.pid)
        if any(moment in line for line in alive(pids)):
            return pids
        assert demo.poll() is None
        assert time.monotonic() < deadline


def test_a_ctrl_c_that_comes_in_a_destructor_is_not_lost():
    """An exception that is raised there is printed and forgotten."""
    lines = """
import os, signal
from sandbox.demo.interrupts import Interrupted, heed, note_interrupts
class Interrupting:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
note_interrupts()
heed()
Interrupting()
try:
    heed()
except Interrupted:
    print("heeded")
"""
    with running(sys.executable, "-c", lines) as program:
        assert program.communicate(timeout=PATIENCE_SECONDS)[0] == "heeded\n"


@pytest.mark.parametrize(("noted", "kept"), [([], ["web.log"]), ([signal.SIGINT], [])])
def test_the_logs_of_a_demo_that_fails_stay_unless_somebody_stopped_it(noted, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(ground, "STATE", tmp_path)
    monkeypatch.setattr(interrupts, "_noted", noted)

    with pytest.raises(HouseProblem):
        fail_with_a_log()

    assert [file.name for file in tmp_path.rglob("*")][1:] == kept


def fail_with_a_log():
    with ground.throw_away_folder() as folder:
        (folder / "web.log").touch()
        raise HouseProblem("a program was interrupted, too")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_program_does_not_outlive_a_demo_that_is_killed(tmp_path):
    lines = f"""
import os, pathlib, signal
from sandbox.demo.programs import Program
program = Program("sleeper", ["sh", "-c", "echo here; exec sleep 600"], os.environ, pathlib.Path({str(tmp_path)!r}))
program.start()
program.wait_until(lambda said: said)
print("started", flush=True)
signal.pause()
"""
    with running(sys.executable, "-c", lines) as launcher:
        read_until(launcher, "started")
        pids = descendants(launcher.pid)
        assert pids

        launcher.kill()
        launcher.wait()

        deadline = time.monotonic() + PATIENCE_SECONDS
        while alive(pids):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_program_that_ends_by_itself_is_told_with_its_last_words(tmp_path):
    program = Program("web", ["sh", "-c", "echo no such port >&2; exit 3"], os.environ, tmp_path)
    program.start()

    with pytest.raises(HouseProblem, match=r"(?s)web ended by itself with 3.*web\.log.*no such port"):
        program.wait_until(lambda _: None)


def test_a_program_that_was_killed_is_started_again_and_never_taken_for_one_that_ended_by_itself(tmp_path):
    program = Program("worker-1", ["sh", "-c", "echo $$ ready.; exec sleep 600"], os.environ, tmp_path)
    program.start()
    first = program.wait_until(lambda said: said)

    program.kill()
    program.check()
    program.start()

    assert program.wait_until(lambda said: said) != first  # its own words, not those of the dead
    assert (tmp_path / "worker-1.log").read_text() == first
    program.check()
    stop([program])
    with pytest.raises(HouseProblem, match="worker-1 ended by itself"):
        program.check()


def test_a_program_that_is_stopped_hears_that_it_is_to_end(tmp_path):
    program = Program(
        "worker-1",
        ["sh", "-c", "trap 'echo goodbye; exit' TERM; echo here; while :; do sleep 0.1; done"],
        os.environ,
        tmp_path,
    )
    program.start()
    program.wait_until(lambda said: said)

    program.send(signal.SIGSTOP)
    stop([program])

    assert program.said == "here\ngoodbye\n"


def test_a_demo_refuses_a_database_that_somebody_uses(database_url, redis_url):
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute(
            "INSERT INTO payconfirm.confirmations (receipt_id, order_id, amount, currency, items, metadata, state,"
            " created_at, updated_at, state_since)"
            " VALUES ('r', 'o', 1, 'KRW', '{}', '{}', 'received', now(), now(), now())"
        )

    refused = demo_with(DATABASE_URL=database_url, REDIS_URL=redis_url)

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert "holds confirmations: give the demo an empty database" in refused.stderr


def test_one_server_without_the_other_is_refused(redis_url):
    refused = demo_with(REDIS_URL=redis_url)

    assert refused.returncode == 2
    assert refused.stderr.startswith("DATABASE_URL is missing: set both")


def test_a_demo_under_attack_that_fails_says_how_to_have_it_again(redis_url):
    refused = demo_with("--chaos", "--seed", "7", "--receipts", "60", REDIS_URL=redis_url)

    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("seed 7: `make demo CHAOS=1 SEED=7 RECEIPTS=60` has the same")


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


def demo_with(*words, **environment):
    return subprocess.run(
        [*DEMO, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


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


def test_the_procfile_holds_the_lines_that_the_house_starts():
    assert {"release", "web", "worker", "relay"} <= read_procfile().keys()


def test_the_same_seed_invites_the_same_buyers():
    assert invite(7, 60) == invite(7, 60)
    assert invite(7, 60) != invite(8, 60)


@pytest.mark.parametrize("receipts", [20, 60, 400])
def test_every_kind_of_buyer_comes(receipts):
    buyers = invite(1, receipts)

    assert len(buyers) == receipts
    assert {buyer.kind for buyer in buyers} == set(Kind)
    assert sum(buyer.kind is Kind.SCARCE for buyer in buyers) > stock_for(buyers)[SCARCE.sku]


# A shop whose broker was away ---------------------------------------------------------------------------------------


class Sent:
    """Celery, as far as a shop sends by it: away for the next so many tries, it keeps what was sent after them."""

    def __init__(self):
        self.receipt_ids, self.tries_away, self.four = [], 0, Event()

    def send_task(self, _name, arguments, **_):
        if self.tries_away:
            self.tries_away -= 1
            raise OperationalError
        self.receipt_ids += [document["receipt_id"] for document in arguments]
        if len(self.receipt_ids) == 4:
            self.four.set()


@asynccontextmanager
async def listening(redis_url, *, patient):
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        doors = Doors(None, Sent(), redis, patient=patient)
        hearing = asyncio.create_task(doors.hear())
        await doors.listening.wait()
        yield doors, redis
        hearing.cancel()


async def ordered(doors, *receipt_ids):
    """Have these sent and waited for."""
    waiting = {}
    for receipt_id in receipt_ids:
        document = {"receipt_id": receipt_id}
        doors.expect(receipt_id)
        await doors.send(Door.CELERY, document)
        waiting[receipt_id] = asyncio.create_task(doors.wait(Door.CELERY, document))
    await asyncio.sleep(0)
    return waiting


def stored(receipt_id):
    return f"{RESULT_KEY}{receipt_id}", json.dumps({"status": "SUCCESS", "result": {"receipt_id": receipt_id}})


def test_who_was_not_told_when_redis_went_asks_again_and_nobody_else(redis_url):
    async def story():
        async with listening(redis_url, patient=True) as (doors, redis):
            waiting = await ordered(doors, "told", "stored", "lost")
            await redis.publish(*stored("told"))
            await waiting["told"]
            await redis.set(*stored("stored"))  # it was published while nobody could hear it

            await redis.client_kill_filter(_type="pubsub")
            await waiting["stored"]
            assert await asyncio.to_thread(doors._celery.four.wait, PATIENCE_SECONDS)

            assert doors.asked_again == 1
            assert doors._celery.receipt_ids == ["told", "stored", "lost", "lost"]
            await redis.publish(*stored("lost"))
            assert await waiting["lost"] == {"receipt_id": "lost"}

    asyncio.run(story())


def test_a_patient_shop_comes_again_until_the_broker_takes_its_document(redis_url):
    async def story():
        async with listening(redis_url, patient=True) as (doors, _):
            doors._celery.tries_away = 2
            await doors.send(Door.CELERY, {"receipt_id": "r"})
            assert doors.put_off == 2
            assert doors._celery.receipt_ids == ["r"]

    asyncio.run(story())


def test_where_no_server_is_lost_a_door_that_is_away_is_no_part_of_the_story(redis_url):
    async def story():
        async with listening(redis_url, patient=False) as (doors, _):
            doors._celery.tries_away = 1
            with pytest.raises(Turned):
                await doors.send(Door.CELERY, {"receipt_id": "r"})

    asyncio.run(story())


# What doesn't add up is told ------------------------------------------------------------------------------------------


@pytest.fixture
def books():
    """Books of a rush in which everything went as it should."""
    buyers = invite(1, 60)
    stock, given, paid_orders = stock_for(buyers), 0, set()
    endings, receipts = [], {}
    for buyer in buyers:
        end = min(buyer.kind.right, key=str)
        if buyer.kind is Kind.SCARCE:
            given += 1
            end = ("confirmed", None) if given <= stock[SCARCE.sku] else ("rejected", "out_of_stock")
        if buyer.kind is Kind.TWO_RECEIPTS:
            end = ("rejected", "order_already_paid") if buyer.order_id in paid_orders else ("confirmed", None)
            paid_orders.add(buyer.order_id)
        endings.append(Ending(buyer, end, buyer.amount, 0.0, 0.2))
        charged = buyer.amount if end[0] in ("confirmed", "voided") else 0
        receipts[buyer.receipt_id] = {"charged": charged, "cancelled": charged if end[0] == "voided" else 0}
    totals = {"charged_twice": [], "charged": {"KRW": 0}, "cancelled": {"KRW": 0}}
    for kind in ("charged", "cancelled"):
        totals[kind]["KRW"] = sum(account[kind] for account in receipts.values())
    books = Books(endings, {"totals": totals, "receipts": receipts}, stock, {}, {"ok": True, "findings": []})
    return replace(books, stock_left={sku: there - books.sold[sku] for sku, there in stock.items()})


def test_nothing_is_told_when_everything_adds_up(books):
    assert complaints(books) == []


def test_an_ending_that_is_not_right_for_its_buyer_is_told(books):
    at = next(place for place, ending in enumerate(books.endings) if ending.buyer.kind is Kind.UNKNOWN)
    books.endings[at] = replace(books.endings[at], end=("rejected", "declined"))

    (told,) = complaints(books)
    assert told.startswith(f"receipt {books.endings[at].buyer.receipt_id} (unknown) ended as rejected declined,")
    assert told.endswith("should have as rejected receipt_not_found")


def test_money_that_nobody_confirmed_is_told(books):
    rejected = next(ending.buyer.receipt_id for ending in books.endings if ending.buyer.kind is Kind.DECLINED)
    books.ledger["receipts"][rejected]["charged"] = 500
    books.ledger["totals"]["charged"]["KRW"] += 500

    told = complaints(books)

    assert re.fullmatch(r"the gateway keeps [\d,]+ won, and [\d,]+ won are confirmed here", told[0])
    assert told[1:] == [f"receipt {rejected}: the gateway keeps 500 won, it should be 0"]


def test_a_second_charge_is_told(books):
    books.ledger["totals"]["charged_twice"].append("5afd6be8e13f33616f2876ac")

    assert complaints(books) == ["charged twice: 5afd6be8e13f33616f2876ac"]


def test_an_order_paid_with_both_its_receipts_is_told(books):
    for place, ending in enumerate(books.endings):
        if ending.buyer.kind is Kind.TWO_RECEIPTS:
            books.endings[place] = replace(ending, end=("confirmed", None))
            order_id = ending.buyer.order_id

    assert f"{order_id} was paid for with two receipts, and 2 of them are confirmed" in complaints(books)


def test_a_unit_that_is_missing_from_the_shelf_is_told(books):
    books.stock_left["mug-blue"] -= 1

    assert [told for told in complaints(books) if told.startswith("mug-blue: ")] == complaints(books) != []


def test_what_the_audit_found_is_told(books):
    found = replace(books, audit={"ok": False, "findings": [{"check": "stock"}]})

    assert complaints(found) == ["the audit found something: [{'check': 'stock'}]"]


# What was done to it is told -----------------------------------------------------------------------------------------


def test_what_was_done_is_counted_and_the_slowest_receipt_named(books):
    books.endings[7] = replace(books.endings[7], told_at=21.5)

    told = shown(
        replace(books, done=Done({Deed.KILL_WORKER: 3}, {"http_500": 5}, asked_again=4, put_off=2, stale_steps=1))
    )

    assert how_often("worker killed", told) == 3
    assert how_often("error of the gateway (500)", told) == 5
    in_one_line = " ".join(told.split())
    assert "the slowest receipt took 21.5 s, and 1 of 59 more than 3 s" in in_one_line
    assert "4 buyers by Celery: their message may have been lost with Redis" in in_one_line
    assert "60 of 60 receipts ended as they should" in in_one_line
    assert "Redis killed" not in told
    assert "left out" not in told
    assert "What was done to it" not in shown(books)


def test_it_is_said_that_somebodys_servers_were_spared(books):
    told = shown(replace(books, done=Done({Deed.KILL_WORKER: 3}, {}, spared=True)))

    assert "PostgreSQL and Redis are yours, so this part is left out" in told


def test_a_demo_that_killed_nobody_has_not_shown_what_it_says(books):
    assert complaints(replace(books, done=Done(Counter(), {}))) == ["no worker was killed"]


def test_where_everything_is_wrong_not_everything_is_told(books):
    console = Console(record=True, width=200, file=StringIO())

    report.show(console, books, [f"thing {number}" for number in range(500)])

    told = console.export_text()
    assert "wrong: thing 0" in told
    assert "thing 499" not in told
    assert "500 things don't add up." in told


def shown(books):
    console = Console(record=True, width=200, file=StringIO())
    report.show(console, books, [])
    return console.export_text()
