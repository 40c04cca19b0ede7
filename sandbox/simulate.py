"""`python -m sandbox simulate`: the rules under a seeded scheduler, with the promises checked after every step."""

import argparse
import os
import time
from collections import Counter

from sandbox.simulation import Plan, PromiseBroken, endings, shortest, tell, worlds

BROKEN = 1


def main(argv: list[str]) -> int:
    """Run the simulation and print its outcomes; 1, and the shortest story found, where a promise is broken."""
    arguments = _parser().parse_args(argv)
    if arguments.world is not None:
        return _again(Plan(arguments.seed, arguments.world, arguments.only, arguments.incidents))
    started = time.perf_counter()
    outcomes: Counter[str] = Counter()
    for plan, ending in endings(worlds(arguments.seed, arguments.receipts), arguments.processes):
        if isinstance(ending, PromiseBroken):
            print(f"seed {arguments.seed}, world {plan.world}: a promise is broken by {ending}")
            print("looking for the shortest story that leads there ...", flush=True)
            return _again(shortest(plan, ending))
        outcomes += ending
    _report(outcomes, time.perf_counter() - started, arguments.seed)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same story (default 1)")
    parser.add_argument("--receipts", type=int, default=10_000, help="how many receipts (default 10,000)")
    cores = os.cpu_count() or 1
    parser.add_argument("--processes", type=int, default=cores, help=f"the outcome is the same (default {cores})")
    again = parser.add_argument_group("to see a broken promise again, as it is printed")
    again.add_argument("--world", type=int, help="only this world")
    again.add_argument("--only", type=_numbers, default=Plan(0).receipts, help="only these receipts of it")
    again.add_argument("--incidents", type=_names, help="only these things go wrong")
    return parser


def _numbers(value: str) -> tuple[int, ...]:
    return tuple(int(number) for number in value.split(","))


def _names(value: str) -> frozenset[str]:
    return frozenset(filter(None, value.split(",")))


def _again(plan: Plan) -> int:
    """Run one plan and tell what happens."""
    found = tell(plan)
    if found is None:
        print("every promise is kept")
        return 0
    print(f"Again:\n  {plan.command}\n\n{found.broken}\n\n{found.stories}")
    return BROKEN


def _report(outcomes: Counter[str], seconds: float, seed: int) -> None:
    for outcome, number in outcomes.most_common():
        print(f"{number:8,}  {outcome}")
    total = outcomes.total()
    print(f"{total:8,}  receipts, every promise kept; {total / seconds:,.0f} a second (seed {seed})")
