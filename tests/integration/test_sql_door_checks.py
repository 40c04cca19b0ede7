"""The SQL door refuses what the Python check refuses, with the same list, and writes the row that Python writes.

Held together over thousands of documents, as jsonb has levelled them: what Python is given is jsonb's own text.
"""

import itertools
import json
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
import pytest

from payconfirm import InvalidOrder, read_document
from tests.bad_documents import BAD, BEYOND_SCHEMA, nested
from tests.documents import GOOD, Maker
from worker.orders import to_order
from worker.store.engine import make_engine
from worker.store.migrations import migrate
from worker.store.rows import order_values

DATABASES = itertools.count(1)
DOCUMENTS = 1000
DOCUMENTS_ELSEWHERE = 200

ROW = """
SELECT receipt_id, order_id, amount, currency, items::text, callback_url, metadata::text
FROM payconfirm.confirmations WHERE receipt_id = %s
"""

#: Where letters, spaces and order are others. A server has what it was built with.
LOCALES = {
    "C": "LOCALE 'C'",
    "all of Unicode": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C'",
    "Korean": "LOCALE_PROVIDER icu ICU_LOCALE 'ko-KR' LOCALE 'C'",
    "Turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'",
}


@pytest.fixture(scope="module")
def create_database(servers):
    """Create databases of this module's own."""
    names = []
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True

        def create(options):
            name = f"sql_door_{next(DATABASES)}"
            connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
            names.append(name)
            url = urlsplit(servers.addresses.database_url)._replace(path=f"/{name}").geturl()
            engine = make_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
            migrate(engine)
            engine.dispose()
            return url

        yield create
        for name in names:
            connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def databases(create_database):
    """A database in each locale, made when it is first asked for."""
    made = {}

    def database(locale):
        if locale not in made:
            try:
                made[locale] = create_database(LOCALES[locale])
            except psycopg2.Error as unsupported:
                pytest.skip(f"this server has no such locale: {unsupported}".strip())
        return made[locale]

    return database


@pytest.fixture
def door(databases):
    with closing(psycopg2.connect(databases("C"))) as connection:
        yield connection


def by_sql(connection, raw):
    """What the SQL door says of a document: its flaws and their sentence, or the row. Nothing stays."""
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [raw])
        cursor.execute(ROW, [cursor.fetchone()[0]["receipt_id"]])
        return cursor.fetchone()
    except psycopg2.Error as refused:
        if refused.pgcode != "PF422":
            raise
        return json.loads(refused.diag.message_detail), refused.diag.message_primary
    finally:
        connection.rollback()


def by_python(connection, raw):
    """What Python says of what jsonb has made of it."""
    cursor = connection.cursor()
    cursor.execute("SELECT %s::jsonb::text", [raw])
    try:
        order = to_order(read_document(cursor.fetchone()[0].encode()))
    except InvalidOrder as refused:
        return refused.errors, str(refused)
    values = order_values(order)
    cursor.execute("SELECT %(items)s::jsonb::text, %(metadata)s::jsonb::text", values)
    items, metadata = cursor.fetchone()
    values |= {"items": items, "metadata": metadata}
    names = ("receipt_id", "order_id", "amount", "currency", "items", "callback_url", "metadata")
    return tuple(values[name] for name in names)


def held_together(connection, seed, documents):
    maker = Maker(seed)
    taken = refused = 0
    for _ in range(documents):
        raw = json.dumps(maker.document())
        said = by_sql(connection, raw)
        assert said == by_python(connection, raw), raw
        taken, refused = (taken + 1, refused) if len(said) > 2 else (taken, refused + 1)
    assert min(taken, refused) > documents / 6, "both kinds must be tried"


@pytest.mark.parametrize("seed", [1, 2])
def test_both_say_the_same_of_thousands_of_documents(door, seed):
    held_together(door, seed, DOCUMENTS)


@pytest.mark.parametrize("locale", list(LOCALES)[1:])
def test_both_say_the_same_whatever_the_database_s_locale(databases, locale):
    with closing(psycopg2.connect(databases(locale))) as connection:
        held_together(connection, 3, DOCUMENTS_ELSEWHERE)


def jsonb_can_hold(change):
    """Whether it comes through JSON as it is, and through jsonb."""
    try:
        text = json.dumps(change)
        same = json.loads(text) == change
    except (TypeError, RecursionError, ValueError):
        return False
    return same and not any(word in text for word in ("\\u0000", "\\ud800", "\\udfff", "NaN", "Infinity"))


#: What the check's own tests refuse, as far as JSON and jsonb can say it.
KNOWN = [change for change, _, _ in BAD + BEYOND_SCHEMA if jsonb_can_hold(change)]


def test_both_say_the_same_of_all_that_the_check_s_own_tests_refuse(door):
    assert len(KNOWN) > 100
    for change in KNOWN:
        raw = json.dumps(GOOD | change)
        said = by_sql(door, raw)
        assert len(said) == 2, f"it was taken: {raw}"
        assert said == by_python(door, raw), raw


@pytest.mark.parametrize(
    "raw",
    [
        *("null", "5", '"a"', "[]", "{}", "true", "3.0"),
        '{"receipt_id": "a", "order_id": "o", "amount": 3000.0}',
        '{"receipt_id": "a", "order_id": "o", "amount": 3e3}',
        '{"receipt_id": "a", "order_id": "o", "amount": 3.0e3}',
        '{"receipt_id": "a", "order_id": "o", "amount": 3000.5e1}',
        '{"receipt_id": "a", "order_id": "o", "amount": -0}',
        '{"receipt_id": "a", "order_id": "o", "amount": -0.0}',
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "amount": 2}',
        '{"receipt_id": "a", "order_id": "o", "amount": %s}' % ("9" * 4097),
        '{"receipt_id": "a", "order_id": "o", "amount": %s.5}' % ("9" * 400),
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": %s}}' % ("9" * 4089),
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": %s}}' % ("9" * 4090),
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": -%s}}' % ("9" * 4096),
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": [1, %s.5, "b"]}}' % ("9" * 309),
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": [-1e-400, 1e-400, 5e-324, 2e-324]}}',
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": 100000000000000000000000.0}}',
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": 0.1000000000000000055511151231257827}}',
        '{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {"a": "%s"}}' % ("x" * 65_536),
        *(json.dumps(GOOD | {"callback_url": "https://a/" + hook * 2038}) for hook in ("훅", "🙂")),
        *(json.dumps(GOOD | {"callback_url": "https://a/" + hook * 2039}) for hook in ("훅", "🙂")),
        json.dumps(GOOD | {"metadata": nested(100)}),
        json.dumps(GOOD | {"metadata": nested(101)}),
        json.dumps(GOOD | {"metadata": {"a": [0] * 4094}}),
        json.dumps(GOOD | {"metadata": {"a": [0] * 4097}}),
        json.dumps(GOOD | {"metadata": {"a": "x" * 4087}}),
        json.dumps(GOOD | {"metadata": {"a": "x" * 4088}}),
        json.dumps(GOOD | {"metadata": {"a": "\n" * 2043}}),
        json.dumps(GOOD | {"metadata": {"a": "\n" * 2044}}),
    ],
    ids=lambda raw: raw[:70].replace('"', ""),
)
def test_both_say_the_same_at_the_edges(door, raw):
    assert by_sql(door, raw) == by_python(door, raw)


@pytest.mark.parametrize("exponent", [-320, -308, -44, -5, -4, 0, 15, 16, 17, 22, 23, 100, 307])
def test_both_write_a_double_alike(door, exponent):
    """It counts in metadata's size, and its digits stand in the row."""
    whole = [f"{mantissa * 10.0**exponent:.400f}" for mantissa in (1, 1.5, 2, 9.007199254740993, 9.5, 5, 1 / 3)]
    halves = [f"{2.0**power:.40f}" for power in range(50, 120, 5)]
    raw = f'{{"receipt_id": "a", "order_id": "o", "amount": 1, "metadata": {{"a": [{", ".join(whole + halves)}]}}}}'

    assert by_sql(door, raw) == by_python(door, raw)


def test_a_database_that_is_not_in_utf_8_is_told_so(create_database):
    with closing(psycopg2.connect(create_database("ENCODING 'EUC_KR' LOCALE 'C'"))) as connection:
        with pytest.raises(psycopg2.errors.FeatureNotSupported) as refused:
            connection.cursor().execute("SELECT payconfirm.enqueue(%s::jsonb)", [json.dumps(GOOD)])

        assert refused.value.diag.message_primary == (
            "payconfirm.enqueue needs a database in UTF8; this one is in EUC_KR"
        )
        assert "Enqueue by HTTP" in refused.value.diag.message_hint
