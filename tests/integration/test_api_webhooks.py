"""The gateway's webhook: it only has a known receipt looked at, whoever sent it and whatever it says."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.integration.web_process import DEAD_DATABASE, DEAD_REDIS, Web, assert_problem, order, shared_door, until

PRIVATE_KEY = "the-shops-own-private-key"
NOT_FOUND = """
UPDATE payconfirm.confirmations SET state = 'rejected', reason = 'receipt_not_found' WHERE receipt_id = %s
"""
#: Who stands in a line before a row.
STANDING = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web")) as web:
        yield web


def asked(web, receipt_id):
    rows = web.rows.ask(
        "SELECT asked AND due_at <= clock_timestamp() FROM payconfirm.confirmations WHERE receipt_id = %s", receipt_id
    )
    return rows[0][0]


def hook(web, **content):
    return web.client.post("/v1/webhooks/bootpay", **content)


@pytest.mark.parametrize("form", ["data", "json"])
@pytest.mark.parametrize("said", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "Application/JSON"}])
def test_a_known_receipt_is_due_at_once(web, form, said):
    document = order()
    web.post(document)
    named = {"receipt_id": document["receipt_id"], "status": "1", "private_key": PRIVATE_KEY}

    answer = hook(web, **{form: named}, headers=said)

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert asked(web, document["receipt_id"])
    assert PRIVATE_KEY not in web.log.read_text()


@pytest.mark.parametrize(
    "content",
    [
        {"json": {"receipt_id": "nobody-knows-this"}},
        {"json": {"receipt_id": ["a"]}},
        {"json": {"receipt_id": "a'; DROP SCHEMA payconfirm"}},
        {"json": []},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"[" * 50_000, "headers": {"Content-Type": "application/json"}},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": {"order_id": "o"}},
        {"content": b""},
    ],
)
def test_what_isnt_about_a_known_receipt_gets_the_polite_answer_and_is_dropped(web, content):
    before = web.rows.ask("SELECT count(*) FROM payconfirm.confirmations WHERE asked")

    answer = hook(web, **content)

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert web.rows.ask("SELECT count(*) FROM payconfirm.confirmations WHERE asked") == before


def test_a_confirmed_receipt_is_looked_at_and_nothing_in_the_body_is_believed(web):
    document = order()
    web.post(document)
    web.rows.end(document["receipt_id"])

    hook(web, json={"receipt_id": document["receipt_id"], "status": 20})

    assert web.get(f"/v1/confirmations/{document['receipt_id']}").json()["state"] == "confirmed"
    assert asked(web, document["receipt_id"])


def test_a_voided_receipt_isnt_looked_at_again(web):
    document = order()
    web.post(document)
    web.rows.end(document["receipt_id"])
    web.rows.ask(
        "UPDATE payconfirm.confirmations SET state = 'voided' WHERE receipt_id = %s RETURNING 1", document["receipt_id"]
    )

    hook(web, json={"receipt_id": document["receipt_id"], "status": 20})

    assert web.rows.ask(
        "SELECT due_at FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"]
    ) == [(None,)]


@contextmanager
def left_open(web, *receipt_ids):
    """Hold these receipts as a document does that takes them over in a transaction which isn't ended."""
    with closing(psycopg2.connect(web.addresses["DATABASE_URL"])) as shop, shop.cursor() as cursor:
        for receipt_id in receipt_ids:
            taken_over = json.dumps(order() | {"receipt_id": receipt_id})
            cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [taken_over])
        yield


@pytest.fixture(scope="module")
def patient(servers, template_database, tmp_path_factory):
    """Waits for a locked row for longer than it does elsewhere."""
    more = {"LOCK_SECONDS": "9", "STATEMENT_SECONDS": "9", "LOOKUP_SECONDS": "1", "SUBMIT_SECONDS": "1"}
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web"), **more) as web:
        yield web


def posted(web):
    """Give a receipt that another document may take over."""
    document = order()
    web.post(document)
    web.rows.ask(NOT_FOUND, document["receipt_id"])
    return document["receipt_id"]


def test_webhooks_about_rows_that_stay_locked_hold_up_neither_producers_nor_other_webhooks(patient):
    locked, free = [posted(patient) for _ in range(10)], posted(patient)

    with ThreadPoolExecutor(len(locked)) as senders, left_open(patient, *locked):
        sent = [senders.submit(hook, patient, json={"receipt_id": receipt_id}) for receipt_id in locked]
        until(lambda: patient.rows.ask(STANDING))

        assert hook(patient, json={"receipt_id": free}).status_code == 200
        assert patient.post(order()).status_code == 202
        assert len(patient.rows.ask(STANDING)) == 1
        assert not any(each.done() for each in sent)

    assert asked(patient, free)


def test_a_webhook_that_meets_a_row_which_is_being_written_asks_afterwards(patient):
    receipt_id = posted(patient)

    with ThreadPoolExecutor(1) as sender:
        with left_open(patient, receipt_id):
            sent = sender.submit(hook, patient, json={"receipt_id": receipt_id})
            until(lambda: patient.rows.ask(STANDING))

        assert sent.result().status_code == 200
    assert asked(patient, receipt_id)


def test_a_body_that_is_too_large_is_refused(web):
    assert hook(web, content=b"x" * 70_000).status_code == 413
    assert web.get("/healthz").status_code == 200


@pytest.fixture(scope="module")
def guarded(servers, template_database, tmp_path_factory):
    """Speaks v1, logs everything, and takes webhooks only from Bootpay's network, through one proxy."""
    more = {
        "BOOTPAY_API": "v1",
        "LOG_LEVEL": "DEBUG",
        "WEBHOOK_SOURCES": "223.130.82.0/24",
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web"), **more) as web:
        yield web


def from_(address):
    return {"headers": {"X-Forwarded-For": address}}


@pytest.mark.parametrize("form", ["data", "json"])
def test_v1_is_answered_as_v1_wants_it(guarded, form):
    document = order()
    guarded.post(document)

    answer = hook(guarded, **{form: {"receipt_id": document["receipt_id"], "status": "1"}}, **from_("223.130.82.9"))

    assert (answer.status_code, answer.text) == (200, "OK")
    assert asked(guarded, document["receipt_id"])


@pytest.mark.parametrize("address", ["203.0.113.5", "223.130.82.9, 203.0.113.5", "::1", "nonsense", None])
def test_who_isnt_the_gateway_is_refused_where_its_network_is_named(guarded, address):
    """The last address is the proxy's own word; what stands before it is the asker's."""
    document = order()
    guarded.post(document)

    answer = hook(guarded, data={"receipt_id": document["receipt_id"]}, **(from_(address) if address else {}))

    assert "WEBHOOK_SOURCES" in assert_problem(answer, 403)["detail"]
    assert not asked(guarded, document["receipt_id"])


def test_of_several_lines_that_say_who_asks_the_last_counts(guarded):
    lines = [("X-Forwarded-For", "223.130.82.9"), ("X-Forwarded-For", "203.0.113.5")]

    assert hook(guarded, data={"receipt_id": "r"}, headers=lines).status_code == 403
    assert hook(guarded, data={"receipt_id": "r"}, headers=lines[::-1]).status_code == 200


def test_an_address_that_no_proxy_of_ours_names_isnt_believed(servers, template_database, tmp_path):
    with shared_door(servers, template_database, tmp_path, WEBHOOK_SOURCES="223.130.82.0/24") as web:
        assert hook(web, data={"receipt_id": "r"}, **from_("223.130.82.9")).status_code == 403


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"receipt_id": "r-1", "private_key": PRIVATE_KEY}},
        {"json": {"receipt_id": "r-1", "private_key": PRIVATE_KEY}},
        {"content": f"private_key={PRIVATE_KEY}&receipt_id=%ff%fe".encode()},
        {"content": f'{{"private_key": "{PRIVATE_KEY}", '.encode()},
        {"content": PRIVATE_KEY.encode() * 4000},
    ],
)
def test_the_private_key_reaches_no_log_whatever_else_is_wrong(guarded, tmp_path, content):
    hook(guarded, **content, **from_("223.130.82.9"))
    hook(guarded, **content, **from_("203.0.113.5"))
    assert PRIVATE_KEY not in guarded.log.read_text()

    web = Web(tmp_path, DATABASE_URL=DEAD_DATABASE, REDIS_URL=DEAD_REDIS, BOOTPAY_API="v1", LOG_LEVEL="DEBUG")
    hook(web, **content)
    web.stop()
    assert PRIVATE_KEY not in web.log.read_text()


def test_a_flood_about_unknown_receipts_changes_no_row_and_no_message_and_holds_nobody_up(web):
    """What has no row is never claimed, so it is never looked up."""
    before = web.rows.ask("SELECT count(*), count(*) FILTER (WHERE asked) FROM payconfirm.confirmations")
    messages = web.redis.llen("payconfirm.again")
    document = order()

    with ThreadPoolExecutor(16) as flood:
        answers = flood.map(lambda number: hook(web, data={"receipt_id": f"nobody-{number}"}), range(1000))
        taken = web.post(document)
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"success": true}')}

    assert taken.status_code == 202
    rows, due = before[0]
    after = web.rows.ask("SELECT count(*), count(*) FILTER (WHERE asked) FROM payconfirm.confirmations")
    assert after == [(rows + 1, due)]
    assert web.redis.llen("payconfirm.again") == messages
