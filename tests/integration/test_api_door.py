"""The HTTP door as a real process, on real servers: what each route answers, and what is true when it has."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg2
import pytest
import redis
from pydantic import TypeAdapter

from payconfirm import ResultDocument, read_document

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 30
KEY = {"Authorization": "Bearer producer-one"}
OTHER_KEY = {"Authorization": "Bearer producer-two"}
OPERATOR = {"Authorization": "Bearer on-duty"}
#: Nobody listens there.
DEAD_REDIS = "redis://127.0.0.1:1/0"
DEAD_DATABASE = "postgresql://nobody:secret-password@127.0.0.1:1/nothing"

NUMBERS = itertools.count()


class Web:
    """One `python -m api`."""

    def __init__(self, folder, **environment):
        self.log = folder / f"web-{next(NUMBERS)}.log"
        given = os.environ | {"WEB_PORT": "0", "POST_RATE": "0"} | environment
        with self.log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env=given, stderr=log)
        listening = until(lambda: self._listening() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        self.url = f"http://127.0.0.1:{listening['port']}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS)

    def _listening(self):
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return next((line for line in lines if line["event"] == "web.listening"), None)

    def post(self, body, headers=KEY, **more):
        more |= {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.post("/v1/confirmations", headers=headers, **more)

    def get(self, path, headers=KEY, **more):
        return self.client.get(path, headers=headers, **more)

    def stop(self):
        self.client.close()
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


def until(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.02)
    return found


@pytest.fixture
def start_web(tmp_path, database_url, redis_url):
    started = []

    def start(**environment):
        addresses = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "API_KEYS": "producer-one producer-two"}
        started.append(Web(tmp_path, **(addresses | environment)))
        return started[-1]

    yield start
    for web in started:
        web.stop()


@pytest.fixture(scope="module")
def addresses(servers, template_database):
    """A database and a Redis for every test that shares one process."""
    name = "test_api_door"
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    database = urlsplit(servers.addresses.database_url)._replace(path=f"/{name}").geturl()
    return {"DATABASE_URL": database, "REDIS_URL": servers.addresses.redis_url}


@pytest.fixture(scope="module")
def web(addresses, tmp_path_factory):
    running = Web(
        tmp_path_factory.mktemp("web"),
        API_KEYS="producer-one producer-two",
        OPERATOR_KEYS="on-duty",
        CALLBACK_ALLOWED_HOSTS="shop.example *.hooks.example 127.0.0.1 [::1] localhost",
        **addresses,
    )
    yield running
    running.stop()


@pytest.fixture
def rows(addresses):
    return Rows(addresses["DATABASE_URL"])


class Rows:
    def __init__(self, url):
        self._url = url

    def ask(self, statement, *values):
        with closing(psycopg2.connect(self._url)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def end(self, receipt_id):
        """Confirm a receipt as a worker's commit does."""
        document = {"receipt_id": receipt_id, "state": "confirmed", "final": True, "sequence": 1}
        self.ask(
            """WITH moved AS (UPDATE payconfirm.confirmations SET state = 'confirmed', sequence = 1, due_at = NULL
                              WHERE receipt_id = %s RETURNING receipt_id)
               INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
               SELECT %s, receipt_id, 1, 'payconfirm.confirmed', %s, now(), false FROM moved""",
            receipt_id,
            str(uuid4()),
            json.dumps(document),
        )
        return document

    def reads_done(self, since):
        """How many connections have read a result since then and are idle again."""
        return self.ask(
            """SELECT query_start FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'
               AND query LIKE '%%AS announced%%' AND query_start > %s""",
            since,
        )

    def now(self):
        return self.ask("SELECT clock_timestamp()")[0][0]


def order(**more):
    receipt_id = f"r-{uuid4().hex}"
    return {"receipt_id": receipt_id, "order_id": f"order-{receipt_id}", "amount": 3000} | more


def assert_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    return document


def test_an_accepted_document_has_a_row_and_a_message(web, rows, addresses):
    document = order(items=[{"sku": "tee", "quantity": 2}], metadata={"cart": "c-77"})

    answer = web.post(document)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/confirmations/{document['receipt_id']}"
    told = answer.json()
    assert (told["state"], told["final"], told["metadata"]) == ("received", False, {"cart": "c-77"})
    assert rows.ask("SELECT state FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"])
    with redis.Redis.from_url(addresses["REDIS_URL"]) as broker:
        until(lambda: any(document["receipt_id"].encode() in message for message in broker.lrange("payconfirm", 0, -1)))
    assert web.get(answer.headers["location"]).json() == told


def test_the_same_document_again_is_the_same_job(web, rows):
    document = order()
    first = web.post(document)

    again = web.post(document | {"currency": "KRW", "items": []})

    assert (again.status_code, again.json()) == (202, first.json())
    assert rows.ask("SELECT count(*) FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"]) == [
        (1,)
    ]


def test_the_same_document_after_its_end_gives_the_result_and_has_it_stored_again(web, rows):
    document = order()
    web.post(document)
    announced = rows.end(document["receipt_id"])

    again = web.post(document)

    assert (again.status_code, again.json()) == (200, announced)
    assert rows.ask("SELECT result_due FROM payconfirm.outbox WHERE receipt_id = %s", document["receipt_id"]) == [
        (True,)
    ]


def test_a_different_document_for_a_used_receipt_changes_nothing(web, rows):
    document = order()
    web.post(document)

    problem = assert_problem(web.post(document | {"amount": 1}), 409)

    assert document["order_id"] not in json.dumps(problem)
    amount = rows.ask("SELECT amount FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"])
    assert amount == [(3000,)]


def test_everything_that_is_wrong_is_told_at_once(web):
    problem = assert_problem(web.post({"receipt_id": "a/b", "amount": 1.5}), 422)

    assert {error["field"] for error in problem["errors"]} == {"receipt_id", "order_id", "amount"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"receipt_id": "a", "receipt_id": "b", "order_id": "c", "amount": 1}',
        b"\xff",
        b"[" * 60000,
    ],
    ids=["empty", "no json", "a list", "a key twice", "no utf-8", "nested"],
)
def test_what_is_no_document_is_refused(web, body):
    problem = assert_problem(web.post(body, KEY | {"Content-Type": "application/json"}), 422)

    assert problem["errors"]


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(web):
    headers = KEY | {"Content-Type": "application/json; charset=utf-8"}
    text = json.dumps(order()).encode()

    fits = web.post(text.ljust(65536), headers)
    declared = web.post(text.ljust(65537), headers)
    chunked = web.client.post("/v1/confirmations", headers=headers, content=iter([b" " * 40000, text.ljust(25537)]))

    assert fits.status_code == 202
    assert_problem(declared, 413)
    assert_problem(chunked, 413)


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(web, media_type):
    """A page in somebody's browser can post any of these without being asked."""
    headers = KEY | ({"Content-Type": media_type} if media_type else {})

    assert_problem(web.post(json.dumps(order()).encode(), headers), 415)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Bearer producer-on", "Basic producer-one", "producer-one"],
)
def test_without_a_key_nothing_is_taken_or_told(web, rows, header):
    document = order()
    headers = {"Authorization": header} if header is not None else {}

    refused = [
        web.post(document, headers),
        web.post(b"x" * 70000, headers),
        web.get("/v1/confirmations/r?wait=x", headers),
    ]

    for answer in refused:
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert not rows.ask("SELECT FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"])


@pytest.mark.parametrize("headers", [KEY, OTHER_KEY, OPERATOR, {"Authorization": "bearer producer-one"}])
def test_every_key_opens_the_producers_routes(web, headers):
    document = order()

    assert web.post(document, headers).status_code == 202
    assert web.get(f"/v1/confirmations/{document['receipt_id']}", headers).status_code == 200


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://shop.example/hook", 202),
        ("https://SHOP.example:8443/hook", 202),
        ("https://a.b.hooks.example/", 202),
        ("http://127.0.0.1:9000/hook", 202),
        ("http://[::1]:9000/hook", 202),
        ("http://localhost/hook", 202),
        ("https://hooks.example/", 422),
        ("https://evilhooks.example/", 422),
        ("https://shop.example.evil.example/", 422),
        ("http://shop.example/hook", 422),
        ("http://a.hooks.example/", 422),
        ("https://127.0.0.2/", 422),
        ("https://169.254.169.254/latest", 422),
    ],
)
def test_callbacks_go_only_to_allowed_hosts(web, url, status):
    answer = web.post(order(callback_url=url))

    assert answer.status_code == status
    if status == 422:
        assert [error["field"] for error in assert_problem(answer, 422)["errors"]] == ["callback_url"]


@pytest.mark.parametrize("receipt_id", ["never-seen", "a%20b", "%F0%9F%92%A9", "x" * 65, "r%0A"])
def test_an_unknown_receipt_is_not_found_at_once(web, receipt_id):
    assert_problem(web.get(f"/v1/confirmations/{receipt_id}?wait=30"), 404)


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "soon", ""])
def test_a_wrong_wait_is_refused(web, wait):
    problem = assert_problem(web.get(f"/v1/confirmations/r?wait={wait}"), 422)

    assert [error["field"] for error in problem["errors"]] == ["wait"]


def test_who_does_not_wait_is_answered_at_once(web):
    document = order()
    web.post(document)
    before = time.monotonic()

    answer = web.get(f"/v1/confirmations/{document['receipt_id']}")

    assert (answer.status_code, answer.json()["final"]) == (200, False)
    assert time.monotonic() - before < 2  # the first look without a hint would be later


def test_an_open_receipt_is_told_when_the_wait_is_over(web):
    document = order()
    web.post(document)
    before = time.monotonic()

    answer = web.get(f"/v1/confirmations/{document['receipt_id']}?wait=0.5")

    assert answer.json()["state"] == "received"
    assert time.monotonic() - before >= 0.5


def test_a_hint_wakes_who_waits(web, rows, addresses):
    """Two looks without a hint are over, and the third is 4 s away: only the hint can be quicker."""
    document = order()
    web.post(document)
    answers = []
    began = rows.now()
    waiter = Thread(target=lambda: answers.append(web.get(f"/v1/confirmations/{document['receipt_id']}?wait=30")))
    waiter.start()
    first = until(lambda: rows.reads_done(began))[0][0]
    until(lambda: rows.reads_done(first))
    announced = rows.end(document["receipt_id"])
    told = time.monotonic()

    with redis.Redis.from_url(addresses["REDIS_URL"]) as connection:
        connection.publish("payconfirm:results", document["receipt_id"])
    waiter.join(PATIENCE_SECONDS)

    assert time.monotonic() - told < 3
    assert answers[0].json() == announced


def test_what_is_unknown_is_a_problem_too(web):
    assert_problem(web.get("/v2/confirmations"), 404)
    assert_problem(web.client.delete("/v1/confirmations"), 405)
    assert web.client.delete("/v1/confirmations").headers["allow"] == "POST"
    assert_problem(web.client.post("/v1/confirmations/", json={}), 404)


def test_the_description_needs_no_key_and_its_examples_are_right(web):
    described = web.get("/openapi.json", {}).json()

    examples = {name: example["value"] for name, example in described["components"]["examples"].items()}
    read_document(examples["order"])
    for name in ("received", "confirmed"):
        TypeAdapter(ResultDocument).validate_python(examples[name])
    assert {"/v1/confirmations", "/v1/confirmations/{receipt_id}", "/healthz", "/readyz"} <= described["paths"].keys()
    assert set(described["paths"]["/v1/confirmations"]["post"]["responses"]) >= {
        "200",
        "202",
        "401",
        "409",
        "413",
        "422",
    }


def test_logs_hold_nothing_of_a_document_and_no_key(web):
    web.post(order(callback_url="https://shop.example/private-path", metadata={"secret": "private-note"}))
    web.post(order(callback_url="http://nowhere.example/private-path"))
    web.post(order(), {"Authorization": "Bearer private-key"})

    logged = web.log.read_text()

    assert not [word for word in ("private-", "producer-one", "on-duty") if word in logged]


def test_a_dead_broker_and_a_dead_redis_cost_nobody_anything(start_web, database_url):
    """Its row is due by itself, so the sweep sends what this door couldn't; results are looked for without hints."""
    web = start_web(REDIS_URL=DEAD_REDIS, API_KEYS="")
    rows, document = Rows(database_url), order()
    began = time.monotonic()
    for _ in range(50):
        assert web.post(order(), {}).status_code == 202
    took = time.monotonic() - began

    assert web.post(document, {}).status_code == 202
    due = rows.ask(
        "SELECT due_at - created_at FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"]
    )
    assert 1.9 < due[0][0].total_seconds() < 2.1
    assert took < 10
    ready = web.get("/readyz", {})
    assert (ready.status_code, ready.json()["redis"]) == (200, "away")

    answers = []
    read_from = rows.now()
    waiter = Thread(target=lambda: answers.append(web.get(f"/v1/confirmations/{document['receipt_id']}?wait=30", {})))
    waiter.start()
    until(lambda: rows.reads_done(read_from))
    announced = rows.end(document["receipt_id"])
    waiter.join(PATIENCE_SECONDS)
    assert answers[0].json() == announced


def test_a_key_that_posts_too_fast_is_told_when_to_come_again(start_web):
    web = start_web(POST_RATE="0.01")
    document = order()

    assert web.post(document).status_code == 202
    refused = web.post(order())
    assert_problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 100
    assert web.post(order(), OTHER_KEY).status_code == 202
    assert web.get(f"/v1/confirmations/{document['receipt_id']}").status_code == 200


def test_while_the_database_is_away_nothing_is_accepted(start_web):
    web = start_web(DATABASE_URL=DEAD_DATABASE)

    for answer in (web.post(order()), web.get("/v1/confirmations/r?wait=5"), web.get("/readyz", {})):
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    assert web.get("/healthz", {}).status_code == 200
    assert "secret-password" not in web.log.read_text()


def test_it_is_ready_once_the_schema_is_there(start_web, database_url):
    Rows(database_url).ask("DROP SCHEMA payconfirm CASCADE")
    web = start_web()

    before = assert_problem(web.get("/readyz", {}), 503)
    assert before["database"] == "not migrated"
    # Without its tables a statement fails in a way nobody foresaw, and its text holds the document.
    unforeseen = web.post(order(metadata={"note": "private-note"}))
    assert_problem(unforeseen, 500)
    assert "private-note" not in unforeseen.text + web.log.read_text()

    migrate = [sys.executable, "-m", "worker", "migrate"]
    given = os.environ | {"DATABASE_URL": database_url, "REDIS_URL": DEAD_REDIS}
    subprocess.run(migrate, cwd=ROOT, env=given, check=True, capture_output=True)
    assert web.get("/readyz", {}).status_code == 200


def test_a_stop_answers_those_who_wait_and_is_no_crash(start_web, database_url):
    web = start_web()
    rows, document = Rows(database_url), order()
    web.post(document)
    answers, began = [], rows.now()
    waiter = Thread(target=lambda: answers.append(web.get(f"/v1/confirmations/{document['receipt_id']}?wait=30")))
    waiter.start()
    until(lambda: rows.reads_done(began))

    before = time.monotonic()
    web.process.send_signal(signal.SIGTERM)
    code = web.process.wait(PATIENCE_SECONDS)
    waiter.join(PATIENCE_SECONDS)

    assert code == 0
    assert time.monotonic() - before < 10
    assert (answers[0].status_code, answers[0].json()["state"]) == (200, "received")


def test_it_refuses_to_be_open_to_everybody():
    given = os.environ | {"DATABASE_URL": DEAD_DATABASE, "REDIS_URL": DEAD_REDIS, "WEB_HOST": "0.0.0.0"}

    done = subprocess.run(
        [sys.executable, "-m", "api"], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "API_KEYS" in done.stderr
    assert "secret-password" not in done.stderr
