"""`python -m sandbox demo [--stay]`: a rush of buyers that ends by itself, or the house that stays up."""

import argparse
import signal
import sys
from typing import Never

from rich.console import Console

from sandbox.demo.cast import FEWEST
from sandbox.demo.once import run_once
from sandbox.demo.programs import HouseProblem
from sandbox.demo.stay import stay
from sandbox.servers import ServerProblem

RECEIPTS = 400
FAILED, CANNOT_GO_ON, INTERRUPTED = 1, 2, 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Run the demo: 0 everything adds up, 1 something doesn't, 2 it can't go on; or stay up until Ctrl-C."""
    asked = _parser().parse_args(argv)
    console = Console(highlight=False)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return stay(console) if asked.stay else run_once(console, asked.seed, asked.receipts)
    except ServerProblem as problem:
        print(problem, file=sys.stderr)
        return CANNOT_GO_ON
    except HouseProblem as problem:
        print(problem, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return 0 if asked.stay else INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="no rush: print the addresses and stay up until Ctrl-C")
    parser.add_argument("--seed", type=int, default=1, help="the same seed invites the same buyers (default 1)")
    parser.add_argument("--receipts", type=_receipts, default=RECEIPTS, help=f"how many receipts (default {RECEIPTS})")
    return parser


def _receipts(text: str) -> int:
    receipts = int(text)
    if receipts < FEWEST:
        raise argparse.ArgumentTypeError(f"at least {FEWEST}, so that every kind of buyer can come")
    return receipts


def _interrupt(*_: object) -> Never:
    """Stop once: a second Ctrl-C must not interrupt the stopping."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
