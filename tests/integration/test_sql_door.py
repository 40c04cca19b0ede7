"""Enqueuing by SQL, as a stranger does it: from a role that may do nothing but call one function."""

import json
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2 import errors
from sqlalchemy import text

from confirmation.states import Reason
from payconfirm import read_document
from tests.integration.sql_shops import DOCUMENT, ISOLATIONS, enqueue, row
from tests.ledgers import claimed, confirmed, rejected, reserve
from worker.orders import to_order
from worker.store import migrations, sql_door
from worker.store.ledger import Ledger
from worker.store.reading import Reading


@pytest.fixture
def shop(connect):
    return connect()


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


def ended(ledger, reason, document=DOCUMENT):
    """End the document's receipt as a worker does."""
    return rejected(ledger, claimed(ledger, to_order(read_document(document))), reason)


# What the role may do


def test_a_role_that_may_only_call_it_enqueues_and_can_do_nothing_else(engine, connect):
    shop = connect()
    shop.autocommit = True
    enqueue(shop)
    assert row(engine)["state"] == "received"

    with engine.connect() as owner:
        tables = owner.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'payconfirm'")).scalars().all()
    assert "confirmations" in tables
    forbidden = [f"SELECT FROM payconfirm.{table}" for table in tables]
    forbidden += [f"DELETE FROM payconfirm.{table}" for table in tables]
    forbidden += ["CREATE TABLE payconfirm.mine ()", "SELECT nextval('payconfirm.feed')"]
    for statement in forbidden:
        with pytest.raises(errors.InsufficientPrivilege):
            shop.cursor().execute(statement)
    cursor = shop.cursor()
    for function in sql_door.FUNCTIONS:
        cursor.execute("SELECT has_function_privilege(%s, 'EXECUTE')", [function.types])
        assert cursor.fetchone()[0] is function.open, function.name


def test_nobody_may_call_it_who_was_not_allowed_to(database_url, shop_url):
    with closing(psycopg2.connect(database_url)) as owner, owner, owner.cursor() as cursor:
        role = urlsplit(shop_url).username
        cursor.execute(f"REVOKE EXECUTE ON FUNCTION payconfirm.enqueue(jsonb) FROM {role}")
    with closing(psycopg2.connect(shop_url)) as shop, pytest.raises(errors.InsufficientPrivilege):
        enqueue(shop)


def test_what_was_granted_outlives_a_deploy_and_what_the_code_has_no_more_goes(engine, connect, database_url):
    """A function of the door before, known by its comment, is dropped; one that isn't the door's own stays."""
    with closing(psycopg2.connect(database_url)) as owner, owner, owner.cursor() as cursor:
        cursor.execute("CREATE FUNCTION payconfirm.before(a jsonb, b text) RETURNS text LANGUAGE sql AS 'SELECT b'")
        cursor.execute(f"COMMENT ON FUNCTION payconfirm.before(jsonb, text) IS $${sql_door.COMMENT}$$")
        cursor.execute("CREATE FUNCTION payconfirm.shops_own(a jsonb) RETURNS text LANGUAGE sql AS 'SELECT NULL'")
        cursor.execute("GRANT EXECUTE ON FUNCTION payconfirm.name(text) TO PUBLIC")

    migrations.migrate(engine)

    enqueue(connect())
    with engine.connect() as connection:
        left = connection.execute(text("SELECT proname FROM pg_proc WHERE proname IN ('before', 'shops_own')"))
        assert left.scalars().all() == ["shops_own"]
        public = connection.execute(text("SELECT has_function_privilege('public', 'payconfirm.name(text)', 'EXECUTE')"))
        assert public.scalar_one() is False


#: What a session could bring along so that the function finds it before PostgreSQL's own.
TRAPS = """
CREATE FUNCTION {s}.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE FUNCTION {s}.octet_length(text) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE FUNCTION {s}.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE FUNCTION {s}.trap(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE OPERATOR {s}.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = {s}.trap);
CREATE OPERATOR {s}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {s}.trap);
CREATE OPERATOR {s}.<> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = {s}.trap);
CREATE DOMAIN {s}.text AS pg_catalog.text CHECK (false);
CREATE TEMP TABLE confirmations (receipt_id pg_catalog.text);
CREATE TEMP TABLE outbox (receipt_id pg_catalog.text);
CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb CHECK (false);
SET search_path = pg_temp, {s}, pg_catalog;
SET standard_conforming_strings = off; SET escape_string_warning = off; SET extra_float_digits = -15;
SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Seoul'; SET transform_null_equals = on; SET bytea_output = 'escape';
"""


def test_what_a_session_brings_along_is_not_found(engine, shop, shop_url):
    shop.cursor().execute(TRAPS.format(s=urlsplit(shop_url).username))

    cursor = shop.cursor()
    cursor.execute("SELECT payconfirm.enqueue(%s)", [json.dumps(DOCUMENT | {"metadata": {"third": 1 / 3}})])
    answer = cursor.fetchone()[0]
    shop.commit()
    assert answer == Reading(engine).result("r1")
    assert row(engine)["metadata"] == {"third": 1 / 3}
    with pytest.raises(psycopg2.Error) as refused:
        cursor.execute("SELECT payconfirm.enqueue(%s)", [json.dumps(DOCUMENT | {"amount": 1 / 3})])
    assert refused.value.diag.message_primary.endswith(f"not {1 / 3}")


# The row and the transaction


def test_it_exists_if_and_only_if_the_transaction_commits(engine, shop):
    enqueue(shop)
    assert row(engine) is None
    shop.rollback()
    assert row(engine) is None

    cursor = shop.cursor()
    enqueue(shop, receipt_id="kept")
    cursor.execute("SAVEPOINT here")
    enqueue(shop, receipt_id="taken-back")
    cursor.execute("ROLLBACK TO here")
    shop.commit()

    assert row(engine, "kept")["state"] == "received"
    assert row(engine, "taken-back") is None


def test_the_row_is_the_same_as_any_other_door_s(engine, ledger, shop):
    enqueue(shop)
    shop.commit()
    ledger.keep(to_order(read_document(DOCUMENT | {"receipt_id": "r2"})), 0)

    by_sql, by_python = (dict(row(engine, receipt_id)) for receipt_id in ("r1", "r2"))
    own = {"receipt_id", "due_at", "created_at", "updated_at", "state_since"}
    for name in own - {"receipt_id"}:
        assert abs(by_sql[name] - by_python[name]) < timedelta(minutes=1)
    assert {name: by_sql[name] for name in by_sql if name not in own} == {
        name: by_python[name] for name in by_python if name not in own
    }
    assert by_sql["due_at"] - by_sql["created_at"] < timedelta(milliseconds=100), "the relay takes it at once"


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_the_answer_is_what_http_answers(engine, ledger, shop, isolation):
    shop.set_session(isolation_level=isolation)
    first = enqueue(shop)
    shop.commit()
    assert first == Reading(engine).result("r1")
    assert first["state"] == "received"

    held = claimed(ledger, to_order(read_document(DOCUMENT)))
    assert enqueue(shop) == Reading(engine).result("r1")
    shop.commit()
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO payconfirm.stock VALUES ('tee', 9), ('cap', 9)"))
        confirmed(ledger, reserve(ledger, held))
        connection.execute(text("UPDATE payconfirm.outbox SET result_due = false, published_at = now()"))
        connection.execute(text("UPDATE payconfirm.confirmations SET attempts = 7"))  # a look that came later
    ended = enqueue(shop)
    shop.commit()

    assert ended == Reading(engine).result("r1")
    assert (ended["state"], ended["final"], ended["attempts"]) == ("confirmed", True, 1)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT result_due FROM payconfirm.outbox")).scalars().all() == [True], (
            "it is stored again for those who poll"
        )


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_the_same_document_again_is_the_same_job(engine, connect, isolation):
    shop = connect()
    shop.set_session(isolation_level=isolation)
    first = enqueue(shop)
    again = enqueue(shop, metadata={"another": 1}, callback_url=None, items=list(reversed(DOCUMENT["items"])))
    shop.commit()

    assert again == first
    assert enqueue(shop, metadata={}) == first
    shop.commit()
    assert row(engine)["metadata"] == DOCUMENT["metadata"]


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"order_id": "other"}, "order_id"),
        ({"amount": "10.51"}, "amount"),
        ({"amount": 1050, "currency": "KRW"}, "currency"),
        ({"items": []}, "items"),
        ({"order_id": "other", "items": []}, "order_id and items"),
    ],
)
def test_a_different_document_raises_and_changes_nothing(engine, shop, isolation, changes, differs):
    shop.set_session(isolation_level=isolation)
    enqueue(shop)
    shop.commit()
    before = row(engine)

    with pytest.raises(psycopg2.Error) as refused:
        enqueue(shop, **changes)
    shop.rollback()

    assert refused.value.pgcode == "PF409"
    assert refused.value.diag.message_primary == f"receipt r1 is used by a document with another {differs}"
    assert row(engine) == before


def test_an_invalid_document_raises_with_all_that_is_wrong_and_no_secret(engine, shop):
    url = "https://admin:hunter2@shop.example/"
    with pytest.raises(psycopg2.Error) as refused:
        enqueue(shop, order_id="", amount=3.5, callback_url=url, colour="red")

    assert refused.value.pgcode == "PF422"
    flaws = json.loads(refused.value.diag.message_detail)
    assert [flaw["field"] for flaw in flaws] == ["order_id", "amount", "callback_url", "colour"]
    assert refused.value.diag.message_primary == "; ".join(f"{flaw['field']}: {flaw['message']}" for flaw in flaws)
    assert "hunter2" not in str(refused.value)
    shop.rollback()
    assert row(engine) is None


def test_null_is_no_document(shop):
    with pytest.raises(psycopg2.Error, match="document: takes a JSON object, not null"):
        shop.cursor().execute("SELECT payconfirm.enqueue(NULL)")


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("reason", [Reason.ORDER_MISMATCH, Reason.RECEIPT_NOT_FOUND])
def test_a_receipt_that_never_was_the_other_order_s_is_taken_over(engine, ledger, shop, reason, isolation):
    ended(ledger, reason)
    shop.set_session(isolation_level=isolation)

    taken = enqueue(shop, order_id="mine")
    assert (taken["state"], taken["order_id"], taken["sequence"]) == ("received", "mine", 1)
    assert enqueue(shop, order_id="mine") == taken
    shop.rollback()
    assert row(engine)["state"] == "rejected"

    enqueue(shop, order_id="mine")
    shop.commit()
    assert (row(engine)["order_id"], row(engine)["fence"]) == ("mine", None)


def test_one_that_was_declined_is_not(ledger, shop):
    ended(ledger, Reason.DECLINED)

    with pytest.raises(psycopg2.Error, match="used by a document with another order_id"):
        enqueue(shop, order_id="mine")
