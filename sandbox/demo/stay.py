"""`make up`: the same house, without a rush, until Ctrl-C."""

import os
import secrets
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from sandbox import servers
from sandbox.demo.cast import SCARCE, SHELF
from sandbox.demo.ground import Ground, given_addresses, look_at, whose
from sandbox.demo.house import House
from sandbox.servers import STATE
from sandbox.state import lock

#: Where one looks first; taken when free.
WEB_PORT, GATEWAY_PORT = 8000, 8090
STOCK = {**{item.sku: 100 for item in SHELF}, SCARCE.sku: 3}
WATCH_SECONDS = 0.2
JOBS_WARNING = "a real job that waits in that broker is answered by the sandbox gateway, too"


def stay(console: Console) -> int:
    """Start everything with its state kept, print the addresses, and stay up. Never returns by itself."""
    with ExitStack() as stack:
        ground = stack.enter_context(_ground(console))
        logs = STATE / "logs"
        logs.mkdir(exist_ok=True)
        environment = {"WEB_PORT": str(_port(WEB_PORT)), **os.environ}
        if ground.ours:
            environment |= {"BROKER_URL": "", "EVENTS_URL": ""}  # private means all of it
        kept = look_at(ground.addresses).available
        house = stack.enter_context(House(logs, ground, environment, gateway_port=_port(GATEWAY_PORT)))
        house.open({sku: number for sku, number in STOCK.items() if sku not in kept}, console.print)
        receipt_id, last = secrets.token_hex(12), f"Logs: {logs}. Ctrl-C stops everything."
        paragraphs = ("", _where(house), _try(house, receipt_id), _ask(house, ground, receipt_id), last)
        console.print("\n\n".join(paragraphs)[1:], markup=False, soft_wrap=True)
        while True:
            house.check()
            time.sleep(WATCH_SECONDS)


@contextmanager
def _ground(console: Console) -> Iterator[Ground]:
    """Take the servers that are given, with a warning, or start private ones. One `make up` at a time."""
    if given := given_addresses():
        there = look_at(given).confirmations
        warning = f"{there} confirmations are there, and the sandbox gateway knows nothing of them" if there else ""
        console.print("; ".join(filter(None, (whose(given), warning, JOBS_WARNING))), soft_wrap=True)
        with lock(STATE):
            yield Ground(given)
        return
    with servers.start(STATE) as ours:
        console.print(f"{ours} are up, with their state in {STATE}", soft_wrap=True)
        yield Ground(ours.addresses, ours)


def _where(house: House) -> str:
    return f"""\
web           {house.web_url}
gateway       {house.gateway_url}/sandbox/ledger
API key       {house.keys.api}
operator key  {house.keys.operator}"""


def _try(house: House, receipt_id: str) -> str:
    item = SHELF[0]
    key = f"-H 'Authorization: Bearer {house.keys.api}'"
    order = f'"receipt_id": "{receipt_id}", "order_id": "order-{receipt_id[:6]}"'
    items = f'"items": [{{"sku": "{item.sku}", "quantity": 1}}]'
    return f"""\
A buyer has authorised {item.price:,} won for a {item.name} in the payment window:
  curl {house.gateway_url}/sandbox/receipts -d '{{{order}, "price": {item.price}}}'
Have the payment confirmed, and wait for the result:
  curl {house.web_url}/v1/confirmations {key} -H 'Content-Type: application/json' \\
    -d '{{{order}, "amount": {item.price}, {items}}}'
  curl '{house.web_url}/v1/confirmations/{receipt_id}?wait=25' {key}"""


def _ask(house: House, ground: Ground, receipt_id: str) -> str:
    # Somebody's own addresses stand in their own shell, and a password isn't printed without need.
    variables = {name.upper(): url for name, url in vars(ground.addresses).items()} if ground.ours else {}
    variables["BOOTPAY_URL"] = house.gateway_url
    variables["BOOTPAY_CLIENT_KEY"] = house.keys.gateway_client
    variables["BOOTPAY_SECRET_KEY"] = house.keys.gateway_secret
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return f"""\
Read its story, and have everything checked, in another terminal and this folder:
  export {exports}
  .venv/bin/python -m worker explain {receipt_id}
  .venv/bin/python -m worker audit --gateway
At the end the gateway forgets its receipts, and the database keeps them: later audits find that difference."""


def _port(wanted: int) -> int:
    """Give the wanted port if it is free, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
