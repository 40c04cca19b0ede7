"""Every way in and every way that a result comes back, each used by a program that has nothing of ours.

Each is a process of its own with a small environment, in an empty folder; what it may import is what its language, its
broker's client or its database's driver brings. Only those that the contract gives our client have that, and no more.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest
import requests

from tests.houses import standing
from tests.workers import until

ROOT = Path(__file__).parents[2]
SECONDS = 60
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRICE = 3000

# The doors in: each ends once its door has accepted the document -----------------------------------------------------

BY_CELERY = """
from celery import Celery

shop = Celery(broker=os.environ["BROKER_URL"])
shop.send_task(
    "payconfirm.confirm",
    args=[document],
    queue="payconfirm",
    task_id=f"payconfirm-{document['receipt_id']}",
    serializer="json",
    ignore_result=True,
)
"""
BY_HTTP = """
from urllib.request import Request, urlopen

headers = {"Authorization": f"Bearer {os.environ['KEY']}", "Content-Type": "application/json"}
with urlopen(Request(os.environ["WEB"] + "/v1/confirmations", json.dumps(document).encode(), headers)) as answer:
    assert (answer.status, answer.headers["Location"]) == (202, f"/v1/confirmations/{document['receipt_id']}")
"""
BY_PYTHON = """
import payconfirm

with payconfirm.Client.from_url(os.environ["BROKER_URL"], result_url=os.environ["REDIS_URL"]) as client:
    assert client.enqueue(document).receipt_id == document["receipt_id"]
"""
BY_SQL = """
import psycopg2

connection = psycopg2.connect(os.environ["SHOP_DATABASE_URL"])
with connection, connection.cursor() as cursor:
    cursor.execute("INSERT INTO my_orders VALUES (%s)", [document["order_id"]])
    cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [json.dumps(document)])
connection.close()
"""
DOORS = {"celery": BY_CELERY, "http": BY_HTTP, "python": BY_PYTHON, "sql": BY_SQL}

# The ways back: each says first that it listens, and prints the result document in the end --------------------------

POLL_BY_CELERY = """
from celery import Celery
from celery.result import AsyncResult

shop = Celery(broker=os.environ["BROKER_URL"], backend=os.environ["REDIS_URL"])
print("listening", flush=True)
result = AsyncResult(f"payconfirm-{document['receipt_id']}", app=shop).get(timeout=50)
"""
POLL_BY_HTTP = """
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

print("listening", flush=True)
url = f"{os.environ['WEB']}/v1/confirmations/{document['receipt_id']}?wait=25"
result = {"final": False}
while not result["final"]:
    try:
        result = json.load(urlopen(Request(url, headers={"Authorization": f"Bearer {os.environ['KEY']}"})))
    except HTTPError as error:
        assert error.code == 404, error  # not yet there
        time.sleep(0.2)
"""
POLL_BY_PYTHON = """
import payconfirm

print("listening", flush=True)
with payconfirm.Client.from_url(os.environ["BROKER_URL"], result_url=os.environ["REDIS_URL"]) as client:
    result = client.wait(document["receipt_id"], timeout=50)
"""
CALLBACK = """
from http.server import BaseHTTPRequestHandler, HTTPServer

import payconfirm.callbacks


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        events.append(payconfirm.callbacks.verify(body, self.headers, os.environ["SECRET"]))
        self.send_response(204)
        self.end_headers()


events = []
server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hook)
print("listening", flush=True)
while not events:
    server.handle_request()
result = events[0]["data"]
"""
EVENTS = """
from kombu import Connection, Exchange, Queue

found = []


def take(body, message):
    event = json.loads(body)
    message.ack()
    if event["subject"] == document["receipt_id"]:
        found.append(event)


exchange = Exchange("payconfirm.events", type="topic", durable=True)
queue = Queue("stranger", exchange, routing_key="payconfirm.confirmed", durable=True)
with Connection(os.environ["EVENTS_URL"]) as connection:
    with connection.Consumer(queue, callbacks=[take], accept=["application/cloudevents+json"]):
        print("listening", flush=True)
        while not found:
            connection.drain_events(timeout=50)
result = found[0]["data"]
"""
FEED = """
import time
from urllib.request import Request, urlopen

print("listening", flush=True)
found, cursor = [], ""
while not found:
    url = f"{os.environ['WEB']}/v1/events?limit=1000" + (f"&after={cursor}" if cursor else "")
    page = json.load(urlopen(Request(url, headers={"Authorization": f"Bearer {os.environ['KEY']}"})))
    found, cursor = [event for event in page["events"] if event["subject"] == document["receipt_id"]], page["next"]
    if not page["events"]:
        time.sleep(0.1)
result = found[0]["data"]
"""
STREAM = """
from urllib.request import Request, urlopen

key = {"Authorization": f"Bearer {os.environ['KEY']}"}
stream = urlopen(Request(os.environ["WEB"] + "/v1/events/stream", headers=key), timeout=50)
assert stream.headers["Content-Type"].startswith("text/event-stream")
print("listening", flush=True)
result = None
while result is None:
    line = stream.readline().decode().strip()
    if line.startswith("data:"):
        event = json.loads(line.removeprefix("data:"))
        result = event["data"] if event["subject"] == document["receipt_id"] else None
"""
WAYS = {
    "poll by celery": POLL_BY_CELERY,
    "poll by http": POLL_BY_HTTP,
    "poll by python": POLL_BY_PYTHON,
    "callback": CALLBACK,
    "events": EVENTS,
    "feed": FEED,
    "stream": STREAM,
}
#: What the contract gives our client to, has it; nobody else has anything of ours.
WITH_CLIENT = ("python", "poll by python", "callback")

BEGIN = "import json, os, sys\ndocument = json.loads(os.environ['DOCUMENT'])\n"
END = "\nprint(json.dumps(result))\n"


class Strangers:
    """Programs of other people beside a house."""

    def __init__(self, house, folder, shop_url, port):
        self.house = house
        self._folder = folder
        self._shop_url = shop_url
        self.port = port
        self._client = folder / "client"
        shutil.copytree(ROOT / "payconfirm", self._client / "payconfirm")

    def order(self, **more):
        """A buyer authorises a payment; the shop's document of it."""
        order_id = f"order-{uuid4().hex}"
        opened = self.house.control("POST", "/sandbox/receipts", [{"order_id": order_id, "price": PRICE}])
        return {"receipt_id": opened["receipt_ids"][0], "order_id": order_id, "amount": PRICE, **more}

    def start(self, name, program, document):
        """Start it in an empty folder, isolated: Python adds no folder and no variable of ours."""
        folder = self._folder / name.replace(" ", "-")
        folder.mkdir()
        client = f"sys.path.insert(0, {str(self._client)!r})\n" if name in WITH_CLIENT else ""
        (folder / "program.py").write_text(BEGIN + client + program)
        variables = {
            "PATH": os.environ["PATH"],
            "DOCUMENT": json.dumps(document),
            "WEB": self.house.web_url,
            "KEY": self.house.keys.api,
            "SECRET": SECRET,
            "PORT": str(self.port),
            "SHOP_DATABASE_URL": self._shop_url,
            **dict.fromkeys(("BROKER_URL", "REDIS_URL", "EVENTS_URL"), self.house.addresses.redis_url),
        }
        command = [sys.executable, "-I", "program.py"]
        return subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, name, program, document):
        """Run it to its end and give what it printed."""
        return ended(self.start(name, program, document))

    def result(self, receipt_id):
        """The result as the door gives it, once it is final."""
        url = f"{self.house.web_url}/v1/confirmations/{receipt_id}?wait=25"
        headers = {"Authorization": f"Bearer {self.house.keys.api}"}

        def final():
            answer = requests.get(url, headers=headers, timeout=SECONDS)
            return answer.ok and answer.json()["final"] and answer.json()

        return until(final)


def ended(program):
    out, complaints = program.communicate(timeout=SECONDS)
    assert program.returncode == 0, complaints
    return out


@pytest.fixture(scope="module")
def strangers(servers, tmp_path_factory):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    callbacks = {"CALLBACK_SECRET": SECRET, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1"}
    with standing(servers, tmp_path_factory.mktemp("house"), **callbacks) as house:
        shop_url = _shop(house.addresses.database_url)
        yield Strangers(house, tmp_path_factory.mktemp("strangers"), shop_url, port)


def _shop(database_url):
    """A role that has a table of its own and may call one function of ours."""
    role = f"shop_{uuid4().hex[:8]}"
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'of-the-shop'")
        cursor.execute("CREATE TABLE public.my_orders (order_id text PRIMARY KEY)")
        cursor.execute(f"ALTER TABLE public.my_orders OWNER TO {role}")
        cursor.execute(f"GRANT USAGE ON SCHEMA payconfirm TO {role}")
        cursor.execute(f"GRANT EXECUTE ON FUNCTION payconfirm.enqueue(jsonb) TO {role}")
    address = urlsplit(database_url)
    return address._replace(netloc=f"{role}:of-the-shop@127.0.0.1:{address.port}").geturl()


@pytest.mark.parametrize("door", DOORS)
def test_a_stranger_enqueues_by(door, strangers):
    document = strangers.order()

    strangers.run(door, DOORS[door], document)

    result = strangers.result(document["receipt_id"])
    assert (result["state"], result["order_id"], result["amount"]) == ("confirmed", document["order_id"], PRICE)


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_learns_the_result_by(way, strangers):
    hook = {"callback_url": f"http://127.0.0.1:{strangers.port}/hook"} if way == "callback" else {}
    document = strangers.order(metadata={"cart": "c-77"}, **hook)
    told = strangers.start(way, WAYS[way] + END, document)
    assert told.stdout.readline() == "listening\n", told.communicate()

    strangers.run(f"the order for {way}", BY_HTTP, document)

    result = json.loads(ended(told))
    assert result == strangers.result(document["receipt_id"])
    assert (result["state"], result["metadata"]) == ("confirmed", {"cart": "c-77"})
