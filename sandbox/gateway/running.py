"""For tests and benchmarks: start the gateway as its own process, and speak to its control routes."""

import os
import subprocess
import sys
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from sandbox.gateway.money import read_json, write_json

ROOT = Path(__file__).parents[2]
#: Control calls and a goodbye take milliseconds; this is for a machine that is busy with everything else.
PATIENCE_SECONDS = 20.0


class RunningGateway:
    """A gateway in a process of its own on a free port, for the length of a `with` block."""

    def __init__(self, *options: str, port: int = 0) -> None:
        self._command = [sys.executable, "-m", "sandbox.gateway", "--port", str(port), *options]

    def __enter__(self) -> Self:
        keys = {name: value for name, value in os.environ.items() if not name.startswith("BOOTPAY_")}
        self.process = subprocess.Popen(self._command, cwd=ROOT, env=keys, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError(f"the sandbox gateway didn't start, exit {self.process.wait(PATIENCE_SECONDS)}")
        self.url = line.split()[-1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> int:
        """End it as an operator does and return its exit code."""
        self.process.terminate()
        code = self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def open(self, order_id: str = "order-1", price: object = 3000, **more: object) -> str:
        """Open a receipt and return its id."""
        opened = self.control("POST", "/sandbox/receipts", {"order_id": order_id, "price": price, **more})
        return str(opened["receipt_id"])

    def change(self, receipt_id: str, **what: object) -> dict[str, Any]:
        """Change a receipt and return it as it is inside."""
        return self.control("PATCH", f"/sandbox/receipts/{quote(receipt_id)}", what)

    def receipts(self, **which: object) -> list[dict[str, Any]]:
        """List the receipts, all or by `order_id` or `status`."""
        listed: list[dict[str, Any]] = self.control("GET", f"/sandbox/receipts?{urlencode(which)}")["receipts"]
        return listed

    def script(self, call: str, fault: str, **more: object) -> dict[str, Any]:
        """Script a fault."""
        return self.control("POST", "/sandbox/faults", {"call": call, "fault": fault, **more})

    def clear_faults(self) -> None:
        """Forget all scripted faults."""
        self.control("DELETE", "/sandbox/faults")

    def ledger(self, receipt_id: str | None = None) -> dict[str, Any]:
        """Read the ledger: all of it, or one receipt's account with its moves."""
        return self.control("GET", "/sandbox/ledger" + (f"/{quote(receipt_id)}" if receipt_id else ""))

    def advance(self, seconds: float) -> None:
        """Move the gateway's clock forward."""
        self.control("POST", "/sandbox/clock", {"advance_seconds": Decimal(str(seconds))})

    def reset(self) -> None:
        """Let the gateway forget everything."""
        self.control("POST", "/sandbox/reset")

    def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Make a control call; ValueError with the gateway's words when it is refused."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body=None if body is None else write_json(body))
            response = connection.getresponse()
            answer: dict[str, Any] = read_json(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            raise ValueError(f"{response.status}: {answer['error']}")
        return answer
