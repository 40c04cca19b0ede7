"""`make up`: the same house, without a rush, until Ctrl-C."""

import base64
import os
import secrets
import shlex
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

import requests
from rich.console import Console

from sandbox import servers
from sandbox.demo.cast import SCARCE, SHELF, SOLD_OUT
from sandbox.demo.ground import Ground, given_addresses, look_at, whose
from sandbox.demo.house import House
from sandbox.servers import STATE
from sandbox.state import lock

#: Where one looks first; taken when free.
SHOP_PORT, WEB_PORT, GATEWAY_PORT = 8080, 8000, 8090
STOCK = {**{item.sku: 100 for item in SHELF}, SCARCE.sku: 3, SOLD_OUT.sku: 0}
WATCH_SECONDS = 0.2
#: A page of the house's own comes in milliseconds; this is for a machine that is busy.
PAGE_SECONDS = 10
UNSET = "(unset them afterwards: with DATABASE_URL and REDIS_URL set, make demo and make up use those servers)\n"
JOBS_WARNING = "a real job that waits in that broker is answered by the sandbox gateway, too"


def stay(console: Console) -> int:
    """Start everything with its state kept, print the addresses, and stay up. Never returns by itself."""
    with ExitStack() as stack:
        ground = stack.enter_context(_ground(console))
        logs = STATE / "logs"
        logs.mkdir(exist_ok=True)
        environment = {"WEB_PORT": str(_port(WEB_PORT)), "CALLBACK_SECRET": _secret(), **os.environ}
        environment["CALLBACK_ALLOWED_HOSTS"] = f"{os.environ.get('CALLBACK_ALLOWED_HOSTS', '')} 127.0.0.1".strip()
        if ground.ours:
            environment |= {"BROKER_URL": "", "EVENTS_URL": ""}  # private means all of it
        kept = look_at(ground.addresses).available
        house = stack.enter_context(House(logs, ground, environment, gateway_port=_port(GATEWAY_PORT)))
        console.print("starting the gateway, workers, relay, web and shop …")
        house.open({sku: number for sku, number in STOCK.items() if sku not in kept}, console.print)
        shop_url = house.open_shop(_port(SHOP_PORT))
        receipt_id, last = secrets.token_hex(12), f"Logs: {logs}. Ctrl-C stops everything."
        variables = _variables(house, ground, environment)
        paragraphs = (
            "",
            _where(house, shop_url, environment),
            _try(house, receipt_id),
            _ask(variables, receipt_id),
            last,
        )
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
    console.print("starting PostgreSQL and Redis …")
    with servers.start(STATE) as ours:
        console.print(f"{ours} are up, with their state in {STATE}", soft_wrap=True)
        yield Ground(ours.addresses, ours)


def _where(house: House, shop_url: str, environment: Mapping[str, str]) -> str:
    console = f"{house.web_url}/console"
    ours = "CALLBACK_SECRET" not in os.environ  # somebody's own stands in their own shell
    secret = f", signed with {environment['CALLBACK_SECRET']}" if ours else ""
    where = {
        "shop": shop_url,
        **({"console": console} if _is_there(console) else {}),
        "web": house.web_url,
        "gateway": f"{house.gateway_url}/sandbox/ledger",
        "API key": house.keys.api,
        "operator key": house.keys.operator,
        "callbacks": f"a callback_url on http://127.0.0.1 (not localhost) is called{secret}",
    }
    return "\n".join(f"{name:<14}{value}" for name, value in where.items())


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


def _variables(house: House, ground: Ground, environment: Mapping[str, str]) -> dict[str, str]:
    """Say what a command on duty needs to speak to this house."""
    # Somebody's own addresses stand in their own shell, and a password isn't printed without need.
    variables = {name.upper(): url for name, url in vars(ground.addresses).items()} if ground.ours else {}
    variables["BOOTPAY_URL"] = house.gateway_url
    variables["BOOTPAY_CLIENT_KEY"] = house.keys.gateway_client
    variables["BOOTPAY_SECRET_KEY"] = house.keys.gateway_secret
    if hook := environment.get("ORDER_HOOK"):
        variables["ORDER_HOOK"] = hook  # without it, a person's `void` wouldn't reach the shop's tables
    return variables


def _ask(variables: Mapping[str, str], receipt_id: str) -> str:
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    unset = UNSET if "DATABASE_URL" in variables else ""
    return f"""\
Read its story, and have everything checked, in another terminal and this folder:
  export {exports}
  .venv/bin/python -m worker explain {receipt_id}
  .venv/bin/python -m worker audit --gateway
{unset}At the end the gateway forgets its receipts, and the database keeps them: later audits find that difference."""


def _secret() -> str:
    """Make a secret for this run, with which the shop knows payconfirm's callbacks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _is_there(url: str) -> bool:
    """Say whether there is such a page, whoever may see it."""
    return requests.get(url, timeout=PAGE_SECONDS, allow_redirects=False).status_code != HTTPStatus.NOT_FOUND


def _port(wanted: int) -> int:
    """Give the wanted port if it is free, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
