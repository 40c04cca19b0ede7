"""`make up`: the same house, without a rush, until Ctrl-C."""

import os
import secrets
import socket
import time
from contextlib import ExitStack

from rich.console import Console

from sandbox import servers
from sandbox.demo.cast import SCARCE, SHELF
from sandbox.demo.ground import Ground, given_addresses
from sandbox.demo.house import House
from sandbox.servers import STATE
from sandbox.state import lock

#: Where one looks first; taken when free.
WEB_PORT, GATEWAY_PORT = 8000, 8090
STOCK, SCARCE_STOCK = 100, 3
WATCH_SECONDS = 0.2


def stay(console: Console) -> int:
    """Start everything with its state kept, print the addresses, and stay up. Never returns by itself."""
    with ExitStack() as stack:
        given = given_addresses()
        if given:
            ground = Ground(given)
            stack.enter_context(lock(STATE))
        else:
            ours = stack.enter_context(servers.start(STATE))
            ground = Ground(ours.addresses, ours)
            console.print(f"{ours} are up, with their state in {STATE}", soft_wrap=True)
        logs = STATE / "logs"
        logs.mkdir(exist_ok=True)
        environment = {"WEB_PORT": str(_port(WEB_PORT)), **os.environ}
        house = stack.enter_context(House(logs, ground, environment, gateway_port=_port(GATEWAY_PORT)))
        house.open({**{item.sku: STOCK for item in SHELF}, SCARCE.sku: SCARCE_STOCK}, console.print)
        _tell(console, house, f"the programs' logs are in {logs}; Ctrl-C stops everything")
        while True:
            house.check()
            time.sleep(WATCH_SECONDS)


def _tell(console: Console, house: House, last: str) -> None:
    receipt_id, item = secrets.token_hex(12), SHELF[0]
    key = f"-H 'Authorization: Bearer {house.keys.api}'"
    order = f'"receipt_id": "{receipt_id}", "order_id": "order-{receipt_id[:6]}"'
    items = f'"items": [{{"sku": "{item.sku}", "quantity": 1}}]'
    lines = f"""
web            {house.web_url}
gateway        {house.gateway_url}/sandbox/ledger
DATABASE_URL   {house.addresses.database_url}
REDIS_URL      {house.addresses.redis_url}
API key        {house.keys.api}
operator key   {house.keys.operator}

A buyer has authorised {item.price:,} won for a {item.name} in the payment window:
  curl {house.gateway_url}/sandbox/receipts -d '{{{order}, "price": {item.price}}}'
Have the payment confirmed, and wait for the result:
  curl {house.web_url}/v1/confirmations {key} -H 'Content-Type: application/json' \\
    -d '{{{order}, "amount": {item.price}, {items}}}'
  curl '{house.web_url}/v1/confirmations/{receipt_id}?wait=25' {key}

{last}"""
    console.print(lines, markup=False, soft_wrap=True)


def _port(wanted: int) -> int:
    """Give the wanted port if it is free, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
