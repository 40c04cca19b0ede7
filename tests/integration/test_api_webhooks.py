"""The gateway's webhook: it only has a known receipt looked at, whoever sent it and whatever it says."""

import pytest

from tests.integration.web_process import order, shared_door

PRIVATE_KEY = "the-shops-own-private-key"


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
def test_a_known_receipt_is_due_at_once(web, form):
    document = order()
    web.post(document)

    answer = hook(web, **{form: {"receipt_id": document["receipt_id"], "status": "1", "private_key": PRIVATE_KEY}})

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


def test_a_body_that_is_too_large_is_refused(web):
    assert hook(web, content=b"x" * 70_000).status_code == 413
    assert web.get("/healthz").status_code == 200
