"""Have the payment of one order confirmed over HTTP, with Python's standard library alone.

PAYCONFIRM_URL=http://127.0.0.1:8000 PAYCONFIRM_KEY=… python order.py RECEIPT_ID ORDER_ID AMOUNT

Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
known. 1 is what a crash ends with, so it says nothing of the payment.
"""

import argparse
import json
import os
import sys
import time
from email.message import Message
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

VARIABLES = {"PAYCONFIRM_URL": ("http://", "https://"), "PAYCONFIRM_KEY": ("",)}
CONFIRMATIONS = os.environ.get("PAYCONFIRM_URL", "") + "/v1/confirmations"
HEADERS = {"Authorization": "Bearer " + os.environ.get("PAYCONFIRM_KEY", ""), "Content-Type": "application/json"}
TRIES, PAUSE_SECONDS, TIMEOUT_SECONDS = 30, 2, 40


def ask(url: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask until the answer means something.

    After 429, 5xx and no answer at all the same request goes out again: the same document is the same job, and is never
    charged twice.
    """
    for _ in range(TRIES):
        pause = PAUSE_SECONDS
        try:
            status, headers, said = send(url, document)
        except (OSError, HTTPException, ValueError) as error:
            print("no answer:", error, file=sys.stderr)
        else:
            if status < 300:
                return said
            if status != 429 and status < 500:
                refuse(status, said)
            pause = int(headers.get("Retry-After", PAUSE_SECONDS))
        time.sleep(pause)
    print("still no answer: send the same order again later, and tell the buyer neither yes nor no", file=sys.stderr)
    sys.exit(4)


def send(url: str, document: dict[str, Any] | None) -> tuple[int, Message, dict[str, Any]]:
    """Send one request; give the answer's status, headers and JSON."""
    body = None if document is None else json.dumps(document).encode()
    try:
        answer = urlopen(Request(url, body, HEADERS), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, json.load(answer)


def refuse(status: int, problem: dict[str, Any]) -> NoReturn:
    """Say all that is wrong with the request; sending it again wouldn't help."""
    print(status, problem["detail"], file=sys.stderr)
    for error in problem.get("errors", []):
        print(f"  {error['field']} {error['message']}", file=sys.stderr)
    sys.exit(2)


def finish(order: dict[str, Any], result: dict[str, Any]) -> NoReturn:
    """Wait until the result is final, and ship only what is really paid."""
    while not result["final"]:
        result = ask(f"{CONFIRMATIONS}/{order['receipt_id']}?wait=25")
    if (result["order_id"], result["amount"]) != (order["order_id"], order["amount"]):
        print(f"not shipped: the receipt belongs to {result['order_id']}, {result['amount']}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["state"] == "confirmed" else 3)


def command_line(variables: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Read the order; end with a usage line and 2 where it isn't whole, or a variable doesn't begin as it must."""
    parser = argparse.ArgumentParser(description="Have the payment of one order confirmed.")
    parser.add_argument("receipt_id")
    parser.add_argument("order_id")
    parser.add_argument("amount", type=int, help="in won")
    order = vars(parser.parse_args())
    for name, beginnings in variables.items():
        if not os.environ.get(name):
            parser.error(f"{name} is missing")
        if not os.environ[name].startswith(beginnings):
            parser.error(f"{name} isn't {beginnings[0]}…")
    return order


if __name__ == "__main__":
    order = command_line(VARIABLES)
    finish(order, ask(CONFIRMATIONS, order))
