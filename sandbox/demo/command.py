"""`python -m sandbox demo`: a rush of buyers that ends by itself, or with `--stay` a house that stays up."""

import argparse
import random
import sys

from rich.console import Console

from sandbox.demo.cast import FEWEST
from sandbox.demo.interrupts import Interrupted, interrupted, note_interrupts
from sandbox.demo.once import RECEIPTS, Story, run_once
from sandbox.demo.plan import Harm
from sandbox.demo.programs import HouseProblem
from sandbox.demo.stay import stay
from sandbox.servers import ServerProblem

SEED = 1
#: Short enough to be read out.
LAST_SEED = 9999
FAILED, CANNOT_GO_ON, INTERRUPTED = 1, 2, 130


def main(argv: list[str]) -> int:
    """Run the demo: 0 everything adds up, 1 something doesn't, 2 it can't go on; or stay up until Ctrl-C."""
    asked = _read(argv)
    console = Console(highlight=False)
    story = _story(asked)
    note_interrupts()
    try:
        return stay(console) if asked.stay else run_once(console, story)
    except Interrupted:
        return _stopped(0 if asked.stay else INTERRUPTED)
    except (ServerProblem, HouseProblem) as problem:
        if interrupted():  # a terminal's Ctrl-C reaches what we had started, too, and so it failed
            return _stopped(0 if asked.stay else INTERRUPTED)
        print(problem, file=sys.stderr)
        if story.harm.kills:
            print(story.again, file=sys.stderr)
        return CANNOT_GO_ON if isinstance(problem, ServerProblem) else FAILED


def _story(asked: argparse.Namespace) -> Story:
    """Where something is done to the house, each run is another one, unless somebody wants one again."""
    harm = Harm.CHAOS if asked.chaos else Harm.KILL if asked.kill else Harm.NONE
    seed = random.randint(1, LAST_SEED) if harm.kills else SEED  # noqa: S311 - a story, no secret
    return Story(seed if asked.seed is None else asked.seed, asked.receipts, harm)


def _stopped(code: int) -> int:
    print("stopped; nothing is left running", file=sys.stderr)
    return code


def _read(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="no rush: print the addresses and stay up until Ctrl-C")
    parser.add_argument("--kill", action="store_true", help="kill a worker every second or so of the rush")
    parser.add_argument("--chaos", action="store_true", help="that, and lose answers and servers, too")
    seed = f"the same seed tells the same story (default {SEED}; with --kill or --chaos another one each time)"
    parser.add_argument("--seed", type=int, help=seed)
    parser.add_argument("--receipts", type=_receipts, default=RECEIPTS, help=f"how many receipts (default {RECEIPTS})")
    asked = parser.parse_args(argv)
    if asked.stay and (asked.kill or asked.chaos):
        parser.error("with --stay there is no rush to do anything to")
    return asked


def _receipts(text: str) -> int:
    receipts = int(text)
    if receipts < FEWEST:
        raise argparse.ArgumentTypeError(f"at least {FEWEST}, so that every kind of buyer can come")
    return receipts
