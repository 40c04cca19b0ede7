"""A real `python -m api` for tests, and the rows behind it."""

import itertools
import json
import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg2
import redis

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 60
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
        self.addresses = environment
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

    @property
    def rows(self):
        return Rows(self.addresses["DATABASE_URL"])

    @property
    def threads(self):
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    @property
    def memory(self):
        """In megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    @property
    def redis(self):
        return redis.Redis.from_url(self.addresses["REDIS_URL"])

    def stop(self):
        self.client.close()
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


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


@contextmanager
def shared_door(servers, template_database, folder, **more):
    """One process with a database of its own, for every test of a module."""
    name = f"test_api_{next(NUMBERS)}"
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    database = urlsplit(servers.addresses.database_url)._replace(path=f"/{name}").geturl()
    web = Web(
        folder,
        DATABASE_URL=database,
        REDIS_URL=servers.addresses.redis_url,
        API_KEYS="producer-one producer-two",
        OPERATOR_KEYS="on-duty",
        CALLBACK_ALLOWED_HOSTS="shop.example *.hooks.example 127.0.0.1 [::1] localhost",
        **more,
    )
    yield web
    web.stop()


def until(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.02)
    return found


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
