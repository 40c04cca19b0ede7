"""`python -m sandbox demo [--stay]`: a rush of buyers that ends by itself, or the house that stays up."""

import argparse
import sys

from rich.console import Console

from sandbox.demo.cast import FEWEST
from sandbox.demo.interrupts import Interrupted, interrupted, note_interrupts
from sandbox.demo.once import run_once
from sandbox.demo.programs import HouseProblem
from sandbox.demo.stay import stay
from sandbox.servers import ServerProblem

RECEIPTS = 400
FAILED, CANNOT_GO_ON, INTERRUPTED = 1, 2, 130


def main(argv: list[str]) -> int:
    """Run the demo: 0 everything adds up, 1 something doesn't, 2 it can't go on; or stay up until Ctrl-C."""
    asked = _parser().parse_args(argv)
    console = Console(highlight=False)
    note_interrupts()
    try:
        return stay(console) if asked.stay else run_once(console, asked.seed, asked.receipts)
    except Interrupted:
        return _stopped(0 if asked.stay else INTERRUPTED)
    except (ServerProblem, HouseProblem) as problem:
        if interrupted():  # a terminal's Ctrl-C reaches what we had started, too, and so it failed
            return _stopped(0 if asked.stay else INTERRUPTED)
        print(problem, file=sys.stderr)
        return CANNOT_GO_ON if isinstance(problem, ServerProblem) else FAILED


def _stopped(code: int) -> int:
    print("stopped; nothing is left running", file=sys.stderr)
    return code


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
