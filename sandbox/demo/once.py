"""The demo from its first line to its last: start everything, let buyers rush in, add up, stop everything."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sandbox import servers
from sandbox.demo import report
from sandbox.demo.cast import Buyer, Kind, invite, stock_for
from sandbox.demo.checks import Books, complaints
from sandbox.demo.ground import (
    Ground,
    forget_what_is_ours,
    given_addresses,
    look_at,
    refuse_a_used_schema,
    throw_away_folder,
    whose,
)
from sandbox.demo.house import House
from sandbox.demo.interrupts import heed
from sandbox.demo.programs import HouseProblem
from sandbox.demo.rush import Ending, rush

#: 0 or 1: in both cases it says what it found.
AUDIT = ("python", "-m", "worker", "audit", "--gateway", "--json")


def run_once(console: Console, seed: int, receipts: int) -> int:
    """Run the demo and return 0 if everything adds up; else raise, with the logs kept, or return 1."""
    began = time.monotonic()
    given = given_addresses()
    if given:
        refuse_a_used_schema(given)
        console.print(whose(given), soft_wrap=True)
    forget_what_is_ours()
    buyers = invite(seed, receipts)
    with throw_away_folder() as folder:
        if given:
            books = _on(Ground(given), folder, buyers, console)
        else:
            with servers.start(folder / "servers", durable=False) as ours:
                started = f"{ours} are up ({time.monotonic() - began:.1f} s)"
                console.print(started, soft_wrap=True)
                books = _on(Ground(ours.addresses, ours), folder, buyers, console)
        heed()
        wrong = complaints(books)
        report.show(console, books, wrong)
        if wrong:
            raise HouseProblem(f"the programs' logs are in {folder}")
    left = f"{look_at(given).confirmations} confirmations are left in that database" if given else "nothing is kept"
    console.print(f"Took {time.monotonic() - began:.1f} s; everything is stopped, {left}.", style="dim", soft_wrap=True)
    return 0


def _on(ground: Ground, folder: Path, buyers: list[Buyer], console: Console) -> Books:
    stock = stock_for(buyers)
    # The rush is one shop with one key, and comes faster than a shop's own rate allows.
    environment = {**os.environ, "POST_RATE": "0", "WEB_PORT": "0"}
    with House(folder, ground, environment, gateway_port=0) as house:
        house.open(stock, console.print)
        _prepare_gateway(house, buyers)
        endings = _rush(house, buyers, console)
        audit = _audit_while_stopping(house)
        ledger = house.control("GET", "/sandbox/ledger")
        return Books(endings, ledger, stock, look_at(ground.addresses).available, audit)


def _prepare_gateway(house: House, buyers: list[Buyer]) -> None:
    """Let the payment windows have happened, and script what goes wrong at the gateway."""
    house.control("POST", "/sandbox/receipts", [buyer.receipt for buyer in buyers if buyer.receipt])
    faults = {Kind.DECLINED: "decline", Kind.ANSWER_LOST: "lost_answer"}
    for buyer in buyers:
        if fault := faults.get(buyer.kind):
            script = {"call": "approve", "fault": fault, "receipt_id": buyer.receipt_id}
            house.control("POST", "/sandbox/faults", script)


def _audit_while_stopping(house: House) -> dict[str, Any]:
    """Run the audit, and stop what has nothing left to do meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        audit = thread.submit(house.run, *AUDIT, ends_with=(0, 1))
        house.stop_working()
        printed = audit.result()
    heed()  # a terminal's Ctrl-C ends the audit, too: what it printed then is no report
    found: dict[str, Any] = json.loads(printed)
    return found


def _rush(house: House, buyers: list[Buyer], console: Console) -> list[Ending]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        told = progress.add_task(f"{len(buyers)} receipts rush in", total=len(buyers))
        return rush(buyers, house, lambda: progress.advance(told))
