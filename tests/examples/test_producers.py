"""Every example producer against a whole house: what it prints, how it ends, and what was charged."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

import psycopg2
import pytest
import requests

from tests.examples.languages import LANGUAGES, ROOT, run
from tests.examples.middleman import AWAY, FORGE, LOSE, RETRY_AFTER_SECONDS, TOO_FAST, between
from tests.houses import standing

CONFIRMED, REFUSED, NOT_PAID, UNKNOWN = 0, 2, 3, 4
#: An id that JSON must escape and that isn't ASCII.
ODD = r'주문 "1001" \ 가'


@dataclass(frozen=True)
class Other:
    """A producer that goes past the HTTP door."""

    language: str
    command: tuple[str, ...]
    variables: tuple[str, ...] = ("BROKER_URL", "REDIS_URL")


WEB = ("PAYCONFIRM_URL", "PAYCONFIRM_KEY")
BY_HTTP = [*LANGUAGES]
OTHER_DOORS = {
    "node by celery-node": Other("node", ("node", "order-by-celery.js")),
    "python by payconfirm.Client": Other("python", (sys.executable, "order_by_client.py")),
    "python by SQL": Other("python", (sys.executable, "order_by_sql.py"), ("DATABASE_URL", *WEB)),
}
EVERY = [*BY_HTTP, *OTHER_DOORS]


@pytest.fixture(scope="module")
def house(servers, tmp_path_factory):
    with standing(servers, tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module")
def middleman(house):
    with between(house.web_url) as middleman:
        yield middleman


class Shop:
    """One shop that runs the programs, and the receipts that its buyers authorised."""

    def __init__(self, house, folders):
        self._house = house
        self._folders = folders

    def receipt(self, order_id, price=3000):
        return self._house.control("POST", "/sandbox/receipts", {"order_id": order_id, "price": price})["receipt_id"]

    def order(self, producer, receipt_id, order_id, amount=3000, **variables):
        """Run the program with an order on its command line, and with what it is given in its environment."""
        return self.run(producer, receipt_id, order_id, str(amount), **variables)

    def run(self, producer, *arguments, **variables):
        """Run the program; a variable that is None isn't there."""
        command, folder = self.command(producer)
        variables = {
            "PAYCONFIRM_URL": self._house.web_url,
            "PAYCONFIRM_KEY": self._house.keys.api,
            "BROKER_URL": self._house.addresses.redis_url,
            "REDIS_URL": self._house.addresses.redis_url,
            "DATABASE_URL": self.database_url,
            "PYTHONPATH": str(ROOT) if "Client" in producer else "",
            **variables,
        }
        given = {name: value for name, value in variables.items() if value is not None}
        return run((*command, *arguments), folder, given)

    def command(self, producer):
        if producer in LANGUAGES:
            return LANGUAGES[producer].order, self._folders.of(producer)
        if producer == "node by celery-node":
            return OTHER_DOORS[producer].command, self._folders.of_celery_node()
        return OTHER_DOORS[producer].command, self._folders.of(OTHER_DOORS[producer].language)

    def orders(self, order_id):
        """How many orders of this name the shop's own table has."""
        return self.ask("SELECT count(*) FROM my_shop.orders WHERE id = %s", order_id)[0][0]

    @property
    def database_url(self):
        """The address of the role that orders.sql makes."""
        theirs = urlsplit(self._house.addresses.database_url)
        return theirs._replace(netloc=f"my_shop:change-me@{theirs.hostname}:{theirs.port}").geturl()

    def ask(self, statement, *values):
        """Ask the database as its owner, which is called payconfirm as beside `make up`."""
        with closing(psycopg2.connect(self._house.addresses.database_url)) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def result(self, receipt_id):
        headers = {"Authorization": f"Bearer {self._house.keys.api}"}
        return requests.get(f"{self._house.web_url}/v1/confirmations/{receipt_id}", headers=headers, timeout=60).json()

    def charges(self, receipt_id):
        return self._house.control("GET", f"/sandbox/ledger/{receipt_id}")["charges"]


@pytest.fixture(scope="module")
def shop(house, folders):
    shop = Shop(house, folders)
    shop.ask((ROOT / "examples/producers/python/orders.sql").read_text())
    yield shop
    shop.ask("DROP OWNED BY my_shop; DROP ROLE my_shop")  # a role is there for every database


def printed(ended):
    """The result document, which is the last line."""
    return json.loads(ended.out.splitlines()[-1])


@pytest.fixture(scope="module")
def confirmed(shop):
    """The first order of each producer, run when it is first asked for: its receipt, its order and how it ended."""
    orders = {}

    def first_of(producer):
        if producer not in orders:
            order_id = f"{ODD} {producer}"
            receipt_id = shop.receipt(order_id)
            orders[producer] = receipt_id, order_id, shop.order(producer, receipt_id, order_id)
        return orders[producer]

    return first_of


@pytest.mark.parametrize("producer", EVERY)
def test_an_order_is_confirmed_and_told_and_again_is_the_same_job(producer, shop, confirmed):
    receipt_id, order_id, ended = confirmed(producer)

    again = shop.order(producer, receipt_id, order_id)

    assert ended.code == again.code == CONFIRMED, ended
    assert printed(ended) == printed(again) == shop.result(receipt_id)
    assert (printed(ended)["state"], printed(ended)["order_id"]) == ("confirmed", order_id)
    assert shop.charges(receipt_id) == 1


@pytest.mark.parametrize("producer", EVERY)
def test_an_amount_that_was_tampered_with_is_rejected_and_not_charged(producer, shop):
    order_id = f"tampered {producer}"
    receipt_id = shop.receipt(order_id, price=1)

    ended = shop.order(producer, receipt_id, order_id)

    assert ended.code == NOT_PAID, ended
    assert (printed(ended)["state"], printed(ended)["reason"]) == ("rejected", "amount_mismatch")
    assert shop.charges(receipt_id) == 0


@pytest.mark.parametrize("producer", EVERY)
def test_all_that_is_wrong_with_a_document_is_shown(producer, shop):
    ended = shop.order(producer, f"bad-{EVERY.index(producer)}", "", -3)

    assert (ended.code, ended.out) == (REFUSED, ""), ended
    assert "order_id" in ended.complaints
    assert "amount" in ended.complaints


@pytest.mark.parametrize("producer", EVERY)
def test_a_program_that_is_used_wrongly_says_how_it_is_used_and_asks_nobody(producer, shop):
    """The address of nobody: who asks there all the same tries again until the test's time is over."""
    shop.command(producer)  # built before, in one thread
    needed = OTHER_DOORS[producer].variables if producer in OTHER_DOORS else WEB
    nobody = dict.fromkeys(needed, "redis://127.0.0.1:1") | {"PAYCONFIRM_URL": "http://127.0.0.1:1"}
    nobody |= {"PAYCONFIRM_KEY": "k"} | (
        {"DATABASE_URL": "postgresql://127.0.0.1:1"} if "DATABASE_URL" in needed else {}
    )
    wrong = {
        "usage": ([], {}),
        "amount": (["receipt", "order", "abc"], {}),
        **{name: (["receipt", "order", "3000"], {name: None}) for name in needed},
        needed[-2]: (["receipt", "order", "3000"], {needed[-2]: "127.0.0.1"}),
    }

    with ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(shop.run, producer, *given, **(nobody | variables)) for given, variables in wrong.values()
        ]

    for named, ended in zip(wrong, (each.result() for each in running), strict=True):
        assert (ended.code, ended.out) == (REFUSED, ""), f"{named}: {ended}"
        assert "usage: " in ended.complaints, f"{named}: {ended}"
        assert named in ended.complaints.lower() or named in ended.complaints, f"{named}: {ended}"
        assert "no answer" not in ended.complaints, f"{named}: {ended}"
        assert "warning" not in ended.complaints.lower(), f"{named}: {ended}"


@pytest.mark.parametrize("producer", EVERY)
def test_a_receipt_that_another_amount_used_ships_nothing(producer, shop, confirmed):
    """By HTTP it is a 409. Behind the broker what is polled is the first document's result, and that is confirmed."""
    receipt_id, order_id, first = confirmed(producer)

    different = shop.order(producer, receipt_id, order_id, 4000)

    assert (different.code, different.out) == (REFUSED, ""), different
    assert shop.result(receipt_id) == printed(first)
    assert shop.charges(receipt_id) == 1


@pytest.fixture(scope="module")
def stormy(shop, folders, middleman):
    """Every language's order through bad weather, all at once: each waits for seconds."""
    here = [language for language in BY_HTTP if not LANGUAGES[language].missing()]
    receipts = {}
    for language in here:
        folders.of(language)  # built before, in one thread
        order_id = f"stormy {language}"
        receipts[language] = (shop.receipt(order_id), order_id)
        middleman.tell("POST", receipts[language][0], [TOO_FAST, AWAY, LOSE])
        middleman.tell("GET", receipts[language][0], [AWAY, LOSE])
    with ThreadPoolExecutor(len(BY_HTTP)) as pool:
        yield {
            language: (
                receipt_id,
                pool.submit(shop.order, language, receipt_id, order_id, PAYCONFIRM_URL=middleman.url),
            )
            for language, (receipt_id, order_id) in receipts.items()
        }


@pytest.mark.parametrize("language", BY_HTTP)
def test_refused_for_now_or_not_answered_the_same_document_goes_out_again(language, shop, stormy, middleman, folders):
    folders.of(language)  # skips where it isn't here
    receipt_id, running = stormy[language]

    ended = running.result()

    posts, gets = middleman.seen["POST", receipt_id], middleman.seen["GET", receipt_id]
    assert ended.code == CONFIRMED, ended
    assert printed(ended)["state"] == "confirmed"
    said = re.findall(r"no answer: \S|curl: \(52\)", ended.complaints)
    assert len(said) == [each.did for each in (*posts, *gets)].count(LOSE), ended
    assert [post.did for post in posts[:4]] == [TOO_FAST, AWAY, LOSE, None]
    assert len({post.body for post in posts}) == 1
    assert shop.charges(receipt_id) == 1
    for one, other in pairwise([*posts, *gets]):
        if one.did in (TOO_FAST, AWAY):
            assert other.at - one.at >= RETRY_AFTER_SECONDS


@pytest.mark.parametrize("language", BY_HTTP)
def test_a_result_of_another_order_ships_nothing(language, shop, middleman):
    order_id = f"forged {language}"
    receipt_id = shop.receipt(order_id)
    middleman.tell("POST", receipt_id, [FORGE])
    middleman.tell("GET", receipt_id, [FORGE] * 100)

    ended = shop.order(language, receipt_id, order_id, PAYCONFIRM_URL=middleman.url)

    assert (ended.code, ended.out) == (REFUSED, ""), ended
    assert "not shipped" in ended.complaints


def test_an_order_that_is_refused_by_sql_isn_t_in_the_shop_s_table_either(shop, confirmed):
    receipt_id, order_id, _ = confirmed("python by SQL")

    refused = shop.order("python by SQL", receipt_id, "another order")

    assert refused.code == REFUSED, refused
    assert (shop.orders(order_id), shop.orders("another order")) == (1, 0)


def test_the_shop_s_own_role_has_a_table_of_its_own_and_the_docs_make_it_in_the_same_words(shop):
    """
    Beside payconfirm's tables, in its schema, is where the database's owner would have put it.
    """
    said = (ROOT / "examples/producers/python/orders.sql").read_text()
    docs = re.sub(r"  -- .*", "", (ROOT / "docs/producers.md").read_text())

    assert shop.ask("SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'orders'") == [
        ("my_shop", "my_shop")
    ]
    assert said[said.index("CREATE ROLE") :] in docs


def test_a_database_that_is_away_leaves_the_order_unknown_and_one_without_the_table_refuses_it(shop):
    url = shop.database_url
    away = shop.order("python by SQL", "receipt", "order", DATABASE_URL="postgresql://127.0.0.1:1/shop")
    elsewhere = shop.order(
        "python by SQL", "receipt", "order", DATABASE_URL=f"{url}?options=-csearch_path%3Dpg_catalog"
    )

    assert (away.code, away.complaints[:11]) == (UNKNOWN, "no answer: "), away
    assert (elsewhere.code, elsewhere.complaints) == (REFUSED, 'relation "orders" does not exist\n'), elsewhere


def test_a_broker_that_is_away_leaves_the_order_unknown_and_what_the_client_says_is_said_whole(shop):
    ended = shop.order("python by payconfirm.Client", "receipt", "order", BROKER_URL="redis://127.0.0.1:1")

    assert (ended.code, ended.out) == (UNKNOWN, ""), ended
    assert [line[-9:] for line in ended.complaints.splitlines()] == ["harmless.", "es nor no"], ended
