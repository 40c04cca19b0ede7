"""`python -m sandbox simulate`: the rules under a seeded scheduler, with the promises checked after every step."""

import argparse
import time

from sandbox.simulation import PromiseBroken, simulate

BROKEN = 1


def main(argv: list[str]) -> int:
    """Run the simulation and print its outcomes; 1, the seed and the receipt's story where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same story (default 1)")
    parser.add_argument("--receipts", type=int, default=10_000, help="how many receipts (default 10,000)")
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    try:
        outcomes = simulate(arguments.seed, arguments.receipts)
    except PromiseBroken as broken:
        print(f"A promise is broken. Again: --seed {arguments.seed} --receipts {arguments.receipts}\n{broken}")
        return BROKEN
    seconds = time.perf_counter() - started
    for outcome, number in outcomes.most_common():
        print(f"{number:8,}  {outcome}")
    total = outcomes.total()
    print(f"{total:8,}  receipts, every promise kept; {total / seconds:,.0f} a second (seed {arguments.seed})")
    return 0
