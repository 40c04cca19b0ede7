"""Many worlds, one after the other or several at a time: the outcome is the same."""

import gc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from sandbox.simulation.broken import PromiseBroken
from sandbox.simulation.plans import Plan, worlds
from sandbox.simulation.run import Simulation

Ending = Counter[str] | PromiseBroken


def simulate(seed: int, receipts: int, processes: int = 1) -> Counter[str]:
    """Run so many receipts, world by world, and count the outcomes. Raises the first `PromiseBroken`."""
    outcomes: Counter[str] = Counter()
    for _, ending in endings(worlds(seed, receipts), processes):
        if isinstance(ending, PromiseBroken):
            raise ending
        outcomes += ending
    return outcomes


def endings(plans: list[Plan], processes: int = 1) -> Iterator[tuple[Plan, Ending]]:
    """Run the plans and give how each ended, in their order."""
    if min(processes, len(plans)) == 1:
        yield from ((plan, _run(plan)) for plan in plans)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        yield from zip(plans, pool.map(_run, plans), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _run(plan: Plan) -> Ending:
    """Run one world. Garbage is collected when it is over: too much of it is alive to look through that often."""
    gc.disable()
    try:
        return Simulation(plan).run()
    except PromiseBroken as broken:
        return broken
    finally:
        gc.enable()
