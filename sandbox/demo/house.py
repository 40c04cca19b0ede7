"""The house: schema, sandbox gateway, two workers, the relay and the web process, on servers that are given."""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests

from sandbox.demo.ground import Ground
from sandbox.demo.interrupts import heed
from sandbox.demo.programs import HouseProblem, Program, programs_first, read_procfile, run_to_its_end, stop

#: As long as the real gateway takes, so that a rate and a latency mean something.
LOOKUP_SECONDS, APPROVE_SECONDS = "0.02", "0.15"
WORKERS = 2
#: What a worker's log holds once it takes messages.
READY = " ready."
#: A control call takes milliseconds, a command a second or two; this is for a machine that is busy.
PATIENCE_SECONDS = 60.0

#: `python -m worker stock set SKU N` for each item, in one Python: starting one costs a core more than a second.
SET_STOCK = """
import runpy, sys
for item in sys.argv[1:]:
    sys.argv = ["worker", "stock", "set", *item.split("=")]
    try:
        runpy.run_module("worker", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Keys:
    """Keys that hold for one run."""

    api: str = field(default_factory=lambda: secrets.token_hex(12))
    operator: str = field(default_factory=lambda: secrets.token_hex(12))
    gateway_client: str = field(default_factory=lambda: secrets.token_hex(12))
    gateway_secret: str = field(default_factory=lambda: secrets.token_hex(12))


class House:
    """Everything that belongs to payconfirm, running. As a context manager it stops all of it at the end."""

    gateway_url: str
    web_url: str
    relay: Program
    workers: list[Program]
    #: The demo shop, once it is opened.
    shop: Program
    #: One where there is a secret to sign callbacks with, else none.
    callbacks: list[Program]

    def __init__(
        self, folder: Path, ground: Ground, environment: Mapping[str, str], *, gateway_port: int, workers: int = WORKERS
    ) -> None:
        self.addresses = ground.addresses
        self.keys = Keys()
        self._ground = ground
        self._logs = folder
        self._gateway_port = gateway_port
        self._number_of_workers = workers
        self._lines = read_procfile()
        self._stopping = ExitStack()
        self._working = ExitStack()
        self._programs: list[Program] = []
        self._environment = programs_first(
            {
                **environment,
                "DATABASE_URL": self.addresses.database_url,
                "REDIS_URL": self.addresses.redis_url,
                "BOOTPAY_CLIENT_KEY": self.keys.gateway_client,
                "BOOTPAY_SECRET_KEY": self.keys.gateway_secret,
                "API_KEYS": self.keys.api,
                "OPERATOR_KEYS": self.keys.operator,
                "LOG_LEVEL": "INFO",  # a program's log is where it says that it is ready
                "LOG_FORMAT": "json",
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.close()

    def open(self, stock: Mapping[str, int], say: Say) -> None:
        """Start everything, and set the stock. Raises `HouseProblem` where something doesn't start."""
        began = time.monotonic()
        self._start_gateway()
        self.run(*self._lines["release"])
        self._stopping.push(self._working)  # after the gateway, so that it is stopped before it
        self.relay, self.workers, web = self._start_the_procfile()
        if stock:
            self.run("python", "-c", SET_STOCK, *(f"{sku}={available}" for sku, available in stock.items()))
        self.relay.wait_until(_said("relay.started"))
        for worker in (*self.workers, *self.callbacks):
            worker.wait_until(_said(READY))
        self.web_url = web.wait_until(_web_url)
        took = f"{time.monotonic() - began:.1f} s"
        say(f"schema, gateway, {len(self.workers)} workers, relay and web are up, stock is there ({took})")

    def check(self) -> None:
        """Raise `HouseProblem` if any program or server has ended by itself, `Interrupted` if somebody wants an end."""
        heed()
        self._ground.check()
        for program in self._programs:
            program.check()

    def stop_working(self) -> None:
        """Stop web, workers and relay, in this order; the gateway and the servers can still be asked."""
        self._programs.clear()
        self._working.close()

    def open_shop(self, port: int) -> str:
        """Start the demo shop beside the rest, stopped before it, and return its address."""
        self._environment |= {
            "PAYCONFIRM_URL": self.web_url,
            "PAYCONFIRM_KEY": self.keys.api,
            "PAYCONFIRM_OPERATOR_KEY": self.keys.operator,
        }
        (self.shop,) = self._start(self._working, {"shop": ["python", "-m", "sandbox", "shop", "--port", str(port)]})
        return self.shop.wait_until(_shop_url)

    def run(self, *command: str, ends_with: tuple[int, ...] = (0,)) -> str:
        """Run a command to its end and return what it printed; `HouseProblem` where it ends with another code."""
        code, out, complaints = run_to_its_end(command, self._environment, PATIENCE_SECONDS)
        if code not in ends_with:
            raise HouseProblem(f"`{' '.join(command)}` ended with {code}:\n{out}{complaints}".rstrip())
        return out

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever the route answers
        """Make a control call to the sandbox gateway."""
        try:
            answer = requests.request(method, self.gateway_url + path, json=body, timeout=PATIENCE_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise HouseProblem(f"the sandbox gateway doesn't do {method} {path}: {error}") from error
        return answer.json()

    def _start_gateway(self) -> None:
        latencies = ["--latency-lookup", LOOKUP_SECONDS, "--latency-approve", APPROVE_SECONDS]
        command = ["python", "-m", "sandbox", "gateway", "--port", str(self._gateway_port), *latencies]
        (gateway,) = self._start(self._stopping, {"gateway": command})
        self.gateway_url = gateway.wait_until(_gateway_url)
        self._environment["BOOTPAY_URL"] = self.gateway_url

    def _start_the_procfile(self) -> tuple[Program, list[Program], Program]:
        """Start in the order in which they are stopped backwards: web, workers, callbacks if wanted, relay."""
        (relay,) = self._start(self._working, {"relay": self._lines["relay"]})
        called = {"callbacks": self._lines["callbacks"]} if self._environment.get("CALLBACK_SECRET") else {}
        self.callbacks = self._start(self._working, called)
        names = [f"worker-{number + 1}" for number in range(self._number_of_workers)]
        workers = self._start(self._working, dict.fromkeys(names, self._lines["worker"]))
        (web,) = self._start(self._working, {"web": self._lines["web"]})
        return relay, workers, web

    def _start(self, stopping: ExitStack, commands: Mapping[str, list[str]]) -> list[Program]:
        """Start these together. How they are stopped is known before, so that no moment is too early for Ctrl-C."""
        programs = [Program(name, words, self._environment, self._logs) for name, words in commands.items()]
        stopping.callback(stop, programs)
        for program in programs:
            program.start()
        self._programs += programs
        return programs


def _said(words: str) -> Callable[[str], str | None]:
    return lambda log: words if words in log else None


def _gateway_url(log: str) -> str | None:
    found = re.search(r"^sandbox gateway: (http\S+)\n", log, re.MULTILINE)
    return found and found[1]


def _shop_url(log: str) -> str | None:
    found = re.search(r"^shop: (http\S+)\n", log, re.MULTILINE)
    return found and found[1]


def _web_url(log: str) -> str | None:
    for line in log.splitlines(keepends=True):
        if '"web.listening"' in line and line.endswith("\n"):
            where = json.loads(line)
            return f"http://{where['host']}:{where['port']}"
    return None
