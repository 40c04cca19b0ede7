"""PostgreSQL goes away under load and comes back: the same processes carry on by themselves, and nothing is lost."""

import itertools
import json
from contextlib import closing
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg2
import pytest
from kombu import Connection, Queue

from payconfirm import Client
from sandbox.servers import Addresses, start
from tests.crashes import outages
from tests.crashes.both_doors import Books, Traffic, open_receipts, post, said, unforeseen
from tests.crashes.commits import CASES, COMMITS
from tests.crashes.middleman import How, middleman
from tests.crashes.outages import SHOP, end_sessions, refusing_new_rows
from tests.houses import standing
from tests.workers import until
from worker.relay.events import EXCHANGE

#: Leases that are soon over, with room for a call and the commit after it.
SHORT = {
    "STATEMENT_SECONDS": "2",
    "LOCK_SECONDS": "1",
    "LOOKUP_LEASE_SECONDS": "5",
    "LOOKUP_SECONDS": "3",
    "SUBMIT_LEASE_SECONDS": "5",
    "SUBMIT_SECONDS": "3",
}
OUTAGES = (outages.stopped, outages.read_only, outages.full, outages.without_connections)
#: What is promised once it is back, whatever lease was running.
BACK_SECONDS = 20
STOCK = {"tee": 10_000}
#: So many messages that came while it was away are waited for, and so often the HTTP door has asked in vain.
HELD, IN_VAIN = 10, 3
BLIPS = 6
#: So many receipts are opened at a time.
AT_ONCE = 50
#: The words of the relay's own commits.
MARKS = ("payconfirm.feed", "SET result_due = o.result_asked")
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
    with standing(as_shop(servers_of_its_own, port=postgres.port, redis=1), folder) as house:
        yield house


@pytest.fixture(scope="module")
def crashed(second_house, postgres):
    """Traffic of the second house under which the server crashed."""
    with closing(Books(second_house, as_superuser(postgres, second_house))) as books:
        with traffic(second_house) as flow:
            flow.go_on()
            with outages.crashed(postgres, books):
                assert_messages_are_held(second_house, books, flow)
        yield SimpleNamespace(books=books, flow=flow)


@pytest.fixture(scope="module")
def flows():
    """All traffic of the house. What waits for a lease after one test ends during the next."""
    return []


@pytest.fixture
def flowing(house, flows):
    def flowing():
        flows.append(traffic(house, items=[{"sku": "tee", "quantity": 1}]))
        return flows[-1]

    return flowing


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


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
def test_traffic_goes_on_by_itself_when_it_is_back(outage, house, books, postgres, flowing):
    with flowing() as flow:
        flow.go_on()
        with outage(postgres, books):
            assert_messages_are_held(house, books, flow)
        flow.go_on()


def test_traffic_goes_on_while_connections_break_under_statements_again_and_again(books, between, flowing):
    """Some are ended by the server, others cut by the network, and then the server works on."""
    with flowing() as flow:
        for way in [lambda: end_sessions(books), between.cut_all] * (BLIPS // 2):
            flow.go_on(5)
            until(way)


def test_all_that_was_accepted_meanwhile_has_ended_and_adds_up(house, books, flows, heard):
    """Nobody had to be restarted, and every event was heard, under one id."""
    for flow in flows:
        assert_all_is_well(house, books, flow)
    ids = books.event_ids()

    assert flows
    assert {json.loads(message.body)["id"] for message in iter(heard.get, None)} == ids
    house.run("python", "-m", "worker", "audit", "--gateway")


def test_a_document_at_which_the_database_fails_for_no_known_reason_is_kept(house, books):
    """
    Celery acknowledges what fails. Without a row, its dead letter is all that is left of it.
    """
    (document,) = documents(house, 1)

    with (
        refusing_new_rows(books, "XX000", document["receipt_id"]),
        Client.from_url(house.addresses.redis_url) as client,
    ):
        client.enqueue(document)
        until(lambda: not books.messages())

    (letter,) = json.loads(house.run("python", "-m", "worker", "dead-letters", "--json"))
    assert letter["receipt_id"] == document["receipt_id"]
    house.check()


# What happens ---------------------------------------------------------------------------------------------------------


def documents(house, count, **more):
    return open_receipts(house, count, f"order of case {next(NUMBERS)}", **more)


def traffic(house, **more):
    return Traffic(house, lambda: documents(house, AT_ONCE, **more))


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
        with Client.from_url(house.addresses.redis_url) as client:
            client.enqueue(run.document)
        return
    while 202 not in run.answers:
        run.answers.append(post(house, run.document).status_code)


def assert_messages_are_held(house, books, flow):
    """While it is away: wait until everybody has found that out; none of the messages is acknowledged."""
    before, waiting, refused = len(flow.sent), said(house, "worker", '"store.away"'), flow.refusals
    until(lambda: len(flow.sent) >= before + HELD)
    until(lambda: said(house, "worker", '"store.away"') > waiting and flow.refusals >= refused + IN_VAIN)
    came = {document["receipt_id"] for document in flow.sent[before : before + HELD]}
    assert came <= books.messages()
    assert books.messages(only_taken=True)


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
