"""PostgreSQL goes away under load and comes back: the same processes carry on by themselves, and nothing is lost."""

import itertools
import json
from contextlib import ExitStack, closing, contextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg2
import pytest
from kombu import Connection, Queue

import payconfirm
from sandbox.servers import Addresses, start
from tests.crashes.both_doors import Books, Traffic, open_receipts, post, said, unforeseen
from tests.crashes.commits import CASES, COMMITS
from tests.crashes.middleman import How, middleman
from tests.houses import standing
from tests.workers import until
from worker.relay.events import EXCHANGE

#: payconfirm's own role, an ordinary one: what is refused to others is refused to it.
SHOP = "shop"
#: Leases that are soon over, with room for a call and the commit after it.
SHORT = {
    "STATEMENT_SECONDS": "2",
    "LOCK_SECONDS": "1",
    "LOOKUP_LEASE_SECONDS": "5",
    "LOOKUP_SECONDS": "3",
    "SUBMIT_LEASE_SECONDS": "5",
    "SUBMIT_SECONDS": "3",
}
#: What is promised once it is back, whatever lease was running.
BACK_SECONDS = 20
STOCK = {"tee": 10_000}
#: So many messages that came while it was away are waited for, and so often the HTTP door has asked in vain.
HELD, IN_VAIN = 10, 3
BLIPS = 6
#: So many receipts are opened at a time.
AT_ONCE = 50
#: The words of the relay's own commits.
MARKS = ("payconfirm.feed", "SET result_due = o.at")
NUMBERS = itertools.count(1)

#: The first test waits for a whole house, the second house's crash, and leases that run out.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def servers_of_its_own(tmp_path_factory):
    with start(tmp_path_factory.mktemp("servers")) as servers:
        with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE ROLE {SHOP} LOGIN CREATEDB PASSWORD '{SHOP}'")
        yield servers


@pytest.fixture(scope="module")
def postgres(servers_of_its_own):
    return servers_of_its_own.postgres


@pytest.fixture(scope="module")
def between(postgres):
    with middleman(postgres.port) as standing_there:
        yield standing_there


@pytest.fixture(scope="module")
def house(servers_of_its_own, between, tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    with standing(as_shop(servers_of_its_own, port=between.port), folder, stock=STOCK, **SHORT) as house:
        yield house


@pytest.fixture(scope="module")
def books(house, postgres):
    with closing(Books(house, as_superuser(postgres, house))) as books:
        yield books


@pytest.fixture(scope="module")
def second_house(servers_of_its_own, postgres, tmp_path_factory):
    """With the leases that payconfirm has by itself, and nobody between it and PostgreSQL."""
    folder = tmp_path_factory.mktemp("second")
    with standing(as_shop(servers_of_its_own, port=postgres.port, redis=1), folder, stock=STOCK) as house:
        yield house


@pytest.fixture(scope="module")
def crashed(second_house, postgres):
    """Traffic of the second house under which the server crashed."""
    with closing(Books(second_house, as_superuser(postgres, second_house))) as books:
        with traffic(second_house) as flow:
            flow.go_on()
            with held_meanwhile(second_house, books, flow):
                postgres.kill()
            postgres.start()
        yield SimpleNamespace(books=books, flow=flow)


@pytest.fixture(scope="module")
def heard(house):
    """A queue that gets every event from now on."""
    with Connection(house.addresses.redis_url) as connection:
        queue = Queue("heard", EXCHANGE, routing_key="payconfirm.#")(connection.default_channel)
        queue.declare()
        yield queue


@pytest.fixture(scope="module")
def broken_off(crashed, house, heard, books, between):
    """The receipts of all cases, each broken off at its commit, and ended.

    The crash came first: its long leases run out meanwhile.
    """
    del crashed, heard
    begun = {case: begin(house, between, *case) for case in CASES}
    marks = [between.break_off(How.ANSWER_LOST, words) for words in MARKS]
    for run in begun.values():
        hand_in(house, run)
    for breaking in [*marks, *(run.breaking for run in begun.values())]:
        breaking.wait()
    until(lambda: all(books.states().get(run.receipt_id) == run.commit.story.state for run in begun.values()))
    until(lambda: not books.messages() and books.told())
    return begun


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1].value}")
def test_the_row_says_what_became_of_a_commit(case, broken_off, books):
    """No second claim where the answer was lost, and never a second reservation, submit, cancel or event."""
    run = broken_off[case]
    story = run.commit.story

    assert books.row(run.receipt_id) == (story.state, run.commit.claims[run.how], 1)
    account = books.accounts()[run.receipt_id]
    assert (account["charges"], account["cancels"]) == (story.charges, story.cancels)
    assert (account["calls"]["approve"], account["calls"]["cancel"]) == (story.submits, story.cancels)
    assert len(books.decisions(run.receipt_id)) == len(set(books.decisions(run.receipt_id)))
    assert run.answers in ([], [503, 202])


def test_a_crash_of_the_server_costs_nobody_more_than_is_promised(crashed, second_house):
    assert_all_is_well(second_house, crashed.books, crashed.flow)
    assert 0 < crashed.books.seconds_until_the_last_moved() < BACK_SECONDS
    second_house.run("python", "-m", "worker", "audit", "--gateway")


def test_traffic_goes_on_by_itself_after_a_restart(house, books, postgres):
    with traffic(house) as flow:
        flow.go_on()
        with held_meanwhile(house, books, flow):
            postgres.stop()
        postgres.start()
        flow.go_on()

    assert_all_is_well(house, books, flow)


def test_connections_that_break_under_statements_again_and_again_cost_nothing(house, books, between):
    """Some are ended by the server, others cut by the network, and then the server works on."""
    ways = [lambda: end_sessions(books), between.cut_all] * (BLIPS // 2)
    with traffic(house) as flow:
        for way in ways:
            flow.go_on(5)
            until(way)

    assert_all_is_well(house, books, flow)


def test_what_the_database_refuses_for_a_while_waits(house, books):
    with traffic(house) as flow:
        for refusing in (read_only, full, without_connections):
            flow.go_on()
            with ExitStack() as refused, held_meanwhile(house, books, flow):
                refused.enter_context(refusing(books))

    assert_all_is_well(house, books, flow)


def test_a_document_at_which_the_database_fails_for_no_known_reason_is_kept(house, books):
    """
    Celery acknowledges what fails. Without a row, its dead letter is all that is left of it.
    """
    (document,) = documents(house, 1)

    with full(books, "XX000", document["receipt_id"]), payconfirm.Client.from_url(house.addresses.redis_url) as client:
        client.enqueue(document)
        until(lambda: not books.messages())

    (letter,) = json.loads(house.run("python", "-m", "worker", "dead-letters", "--json"))
    assert letter["receipt_id"] == document["receipt_id"]
    house.check()


def test_it_all_adds_up_afterwards(house, books, heard):
    """Every event was heard, under one id, in spite of everything."""
    until(books.told)
    ids = books.event_ids()

    assert ids
    assert {json.loads(message.body)["id"] for message in iter(heard.get, None)} == ids
    house.run("python", "-m", "worker", "audit", "--gateway")


# What happens ---------------------------------------------------------------------------------------------------------


def documents(house, count):
    items = [{"sku": "tee", "quantity": 1}]
    return open_receipts(house, count, f"order of case {next(NUMBERS)}", items=items)


def traffic(house):
    return Traffic(house, lambda: documents(house, AT_ONCE))


def begin(house, between, name, how):
    """Open the receipt of a case, and have its commit broken off."""
    commit = COMMITS[name]
    story, order_id = commit.story, f"order of case {next(NUMBERS)}"
    opened = {"order_id": order_id, "price": 3000, **story.receipt}
    receipt_id = house.control("POST", "/sandbox/receipts", opened)["receipt_id"]
    if story.fault:
        house.control("POST", "/sandbox/faults", {"receipt_id": receipt_id, **story.fault})
    items = [{"sku": sku, "quantity": 1} for sku in story.items]
    document = {"receipt_id": receipt_id, "order_id": order_id, "amount": 3000, "items": items}
    breaking = between.break_off(how, commit.words, receipt_id)
    return SimpleNamespace(
        receipt_id=receipt_id, commit=commit, how=how, document=document, breaking=breaking, answers=[]
    )


def hand_in(house, run):
    """By the Celery door; or by HTTP, again and again until it is accepted."""
    if not run.commit.by_http:
        with payconfirm.Client.from_url(house.addresses.redis_url) as client:
            client.enqueue(run.document)
        return
    while 202 not in run.answers:
        run.answers.append(post(house, run.document).status_code)


@contextmanager
def held_meanwhile(house, books, flow):
    """Inside, PostgreSQL goes away; wait until everybody has found that out, and see that messages are held."""
    waiting = said(house, "worker", '"store.away"')
    yield
    before, refused = len(flow.sent), flow.refusals
    until(lambda: len(flow.sent) >= before + HELD)
    until(lambda: said(house, "worker", '"store.away"') > waiting and flow.refusals >= refused + IN_VAIN)
    came = {document["receipt_id"] for document in flow.sent[before : before + HELD]}
    assert books.messages(only_taken=True)
    assert came <= books.messages()


def end_sessions(books):
    return books.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", SHOP)


@contextmanager
def read_only(books):
    def set_to(word):
        books.ask(f"ALTER SYSTEM SET default_transaction_read_only = {word}")
        books.ask("SELECT pg_reload_conf()")

    set_to("on")
    yield
    set_to("off")


@contextmanager
def full(books, code="53100", receipt_id=""):
    """Have the database give this error for new rows, or for one receipt's."""
    books.ask(
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN
                 IF NEW.receipt_id LIKE '%%{receipt_id}' THEN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END IF;
                 RETURN NEW;
            END $$"""
    )
    for table in ("confirmations", "steps"):
        books.ask(f"CREATE TRIGGER refuse BEFORE INSERT ON payconfirm.{table} FOR EACH ROW EXECUTE FUNCTION refuse()")
    yield
    books.ask("DROP FUNCTION refuse CASCADE")


@contextmanager
def without_connections(books):
    books.ask(f"ALTER ROLE {SHOP} CONNECTION LIMIT 0")
    end_sessions(books)
    yield
    books.ask(f"ALTER ROLE {SHOP} CONNECTION LIMIT -1")


# What must come of it -------------------------------------------------------------------------------------------------


def assert_all_is_well(house, books, flow):
    """Every document ended, charged once; nobody had to be restarted; nothing is left over."""
    until(lambda: books.confirmed(flow.documents))
    until(lambda: not books.messages() and books.told())
    house.check()
    accounts = books.accounts()
    for document in flow.documents:
        account = accounts[document["receipt_id"]]
        assert (account["charges"], account["calls"]["approve"]) == (1, 1)
    assert flow.answers.keys() <= {(202, "application/json"), (503, "application/problem+json")}
    assert not books.ask("SELECT FROM payconfirm.dead_letters")
    assert not unforeseen(house)


def as_shop(servers, *, port, redis=0):
    """Where a house finds the servers: through this port, as an ordinary role."""
    database_url = urlsplit(servers.addresses.database_url)._replace(netloc=f"{SHOP}:{SHOP}@127.0.0.1:{port}").geturl()
    redis_url = urlsplit(servers.addresses.redis_url)._replace(path=f"/{redis}").geturl()
    return SimpleNamespace(addresses=Addresses(database_url, redis_url))


def as_superuser(postgres, house):
    """The house's database, asked directly."""
    return urlsplit(postgres.url)._replace(path=urlsplit(house.addresses.database_url).path).geturl()
