"""The demo from its first line to its last: start everything, let buyers rush in, add up, stop everything."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sandbox import servers
from sandbox.demo import report
from sandbox.demo.cast import Buyer, Kind, invite, stock_for
from sandbox.demo.checks import Books, Done, complaints
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
from sandbox.demo.plan import Harm, Planned, gateway_faults, plan
from sandbox.demo.programs import HouseProblem
from sandbox.demo.rush import Rush, rush
from sandbox.demo.wrecker import Wrecker
from sandbox.servers import Addresses

RECEIPTS = 400
#: 0 or 1: in both cases it says what it found.
AUDIT = ("python", "-m", "worker", "audit", "--gateway", "--json")


@dataclass(frozen=True)
class Story:
    """All that is decided before the demo begins: the same seed tells it once more."""

    seed: int
    receipts: int
    harm: Harm = Harm.NONE

    @property
    def seconds(self) -> float:
        """For how long buyers rush in."""
        return self.harm.rush_seconds(self.receipts)

    @property
    def again(self) -> str:
        """How to have it once more, as far as that can be."""
        receipts = "" if self.receipts == RECEIPTS else f" RECEIPTS={self.receipts}"
        return (
            f"seed {self.seed}: `make demo {self.harm.name}=1 SEED={self.seed}{receipts}` has the same buyers, faults"
            " and deeds again; who is at what when they come is up to the machine"
        )

    def buyers(self) -> list[Buyer]:
        """Who comes."""
        return invite(self.seed, self.receipts, seconds=self.seconds, copies_share=self.harm.value.copies_share)

    def faults(self, buyers: list[Buyer]) -> list[dict[str, Any]]:
        """What the gateway does wrong, before what it does to buyers whose kind says so."""
        return gateway_faults(self.seed, buyers) if self.harm.chaos else []

    def deeds(self, ground: Ground) -> list[Planned]:
        """What is done to the house."""
        return plan(self.seed, self.harm, self.seconds, servers_are_ours=ground.ours is not None)


def run_once(console: Console, story: Story) -> int:
    """Run the demo and return 0 if everything adds up; else raise, with the logs kept, or return 1."""
    began = time.monotonic()
    given = given_addresses()
    if given:
        refuse_a_used_schema(given)
        console.print(whose(given), soft_wrap=True)
    if story.harm.kills:
        console.print(story.again, soft_wrap=True)
    forget_what_is_ours()
    with throw_away_folder() as folder:
        with _ground(given, folder / "servers", story.harm) as ground:
            if ground.ours:
                console.print(f"{ground.ours} are up ({time.monotonic() - began:.1f} s)", soft_wrap=True)
            books = _on(ground, folder, story, console)
        heed()
        wrong = complaints(books)
        report.show(console, books, wrong)
        if wrong:
            raise HouseProblem(f"the programs' logs are in {folder}")
    left = f"{look_at(given).confirmations} confirmations are left in that database" if given else "nothing is kept"
    console.print(f"Took {time.monotonic() - began:.1f} s; everything is stopped, {left}.", style="dim", soft_wrap=True)
    return 0


@contextmanager
def _ground(given: Addresses | None, folder: Path, harm: Harm) -> Iterator[Ground]:
    """Take the servers that are given, or start some; such as keep what they acknowledged if they will be killed."""
    if given:
        yield Ground(given)
        return
    with servers.start(folder, durable=harm.chaos) as ours:
        try:
            yield Ground(ours.addresses, ours)
        finally:
            ours.discard()


def _on(ground: Ground, folder: Path, story: Story, console: Console) -> Books:
    buyers = story.buyers()
    stock, faults = stock_for(buyers), story.faults(buyers)
    # The rush is one shop with one key, and comes faster than a shop's own rate allows.
    environment = {**os.environ, "POST_RATE": "0", "WEB_PORT": "0"}
    with House(folder, ground, environment, gateway_port=0, workers=story.harm.value.workers) as house:
        house.open(stock, console.print)
        _prepare_gateway(house, buyers, faults)
        wrecker = Wrecker(house, ground, story.deeds(ground), console.print) if story.harm.kills else None
        rushed = _rush(house, buyers, console, wrecker)
        audit = _audit_while_stopping(house)
        ledger = house.control("GET", "/sandbox/ledger")
        kept = look_at(ground.addresses)
        done = (
            Done(
                wrecker.done,
                _met(house, faults),
                rushed.asked_again,
                rushed.put_off,
                kept.stale_steps,
                spared=story.harm.chaos and ground.ours is None,
            )
            if wrecker
            else None
        )
        return Books(rushed.endings, ledger, stock, kept.available, audit, done)


def _prepare_gateway(house: House, buyers: list[Buyer], faults: list[dict[str, Any]]) -> None:
    """Let the payment windows have happened, and script what goes wrong at the gateway."""
    house.control("POST", "/sandbox/receipts", [buyer.receipt for buyer in buyers if buyer.receipt])
    by_kind = {Kind.DECLINED: "decline", Kind.ANSWER_LOST: "lost_answer"}
    scripts = [
        {"call": "approve", "fault": by_kind[buyer.kind], "receipt_id": buyer.receipt_id}
        for buyer in buyers
        if buyer.kind in by_kind
    ]
    for script in (*faults, *scripts):
        house.control("POST", "/sandbox/faults", script)


def _met(house: House, faults: list[dict[str, Any]]) -> Counter[str]:
    """How many of these faults met a call."""
    left = {(fault["receipt_id"], fault["call"]) for fault in house.control("GET", "/sandbox/faults")["faults"]}
    return Counter(fault["fault"] for fault in faults if (fault["receipt_id"], fault["call"]) not in left)


def _audit_while_stopping(house: House) -> dict[str, Any]:
    """Run the audit, and stop what has nothing left to do meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        audit = thread.submit(house.run, *AUDIT, ends_with=(0, 1))
        house.stop_working()
        printed = audit.result()
    heed()  # a terminal's Ctrl-C ends the audit, too: what it printed then is no report
    found: dict[str, Any] = json.loads(printed)
    return found


def _rush(house: House, buyers: list[Buyer], console: Console, wrecker: Wrecker | None) -> Rush:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        told = progress.add_task(f"{len(buyers)} receipts rush in", total=len(buyers))
        return rush(buyers, house, lambda: progress.advance(told), wrecker)
