"""Have the payment of one order confirmed through the broker, with payconfirm's own client.

Needs its wheel, which holds nothing but the client: `pip install` with payconfirm's folder, or git+https:// and the
address of its repository. (Without it, PYTHONPATH with that folder does beside its own .venv.)

BROKER_URL=redis://127.0.0.1 REDIS_URL=redis://127.0.0.1 python order_by_client.py RECEIPT_ID ORDER_ID AMOUNT

Prints the result document. Ends with 0: confirmed; 3: rejected or voided; 2: refused; 4: no answer, nothing
known. 1 is what a crash ends with, so it says nothing of the payment.
"""

import json
import os
import sys

from order import command_line

import payconfirm

REDIS = ("redis://", "rediss://", "sentinel://")
VARIABLES = {"BROKER_URL": (*REDIS, "amqp://", "amqps://"), "REDIS_URL": REDIS}


def main(receipt_id: str, order_id: str, amount: int) -> int:
    """Hand the order in, wait for its result, and say how it ended."""
    with payconfirm.Client.from_url(os.environ["BROKER_URL"], result_url=os.environ["REDIS_URL"]) as client:
        try:
            ticket = client.enqueue({"receipt_id": receipt_id, "order_id": order_id, "amount": amount})
            result = ticket.wait(timeout=30)  # it compares: the result is this order's, of this amount
        except payconfirm.InvalidOrder as wrong:
            print(wrong, file=sys.stderr)
            return 2
        except payconfirm.PayconfirmError as unsure:  # BrokerUnavailable, NotFinal, ResultsUnavailable
            print(f"no answer: {unsure}", file=sys.stderr)
            print("send the same order again later, and tell the buyer neither yes nor no", file=sys.stderr)
            return 4
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["state"] == "confirmed" else 3


if __name__ == "__main__":
    sys.exit(main(**command_line(VARIABLES)))
