"""The rules under a seeded scheduler: many receipts, interleaved, with all that can go wrong on the way.

`stories.py` draws what each receipt meets and `faults.py` what its calls do, `scheduler.py` runs one worker inside
another's waits, `passages.py` makes every port call a place to wait, to pause or to die, `promises.py` says what must
hold after every step and at the end, `run.py` puts them together. The same seed gives the same story.
"""

from sandbox.simulation.promises import PromiseBroken
from sandbox.simulation.run import Simulation, simulate

__all__ = ["PromiseBroken", "Simulation", "simulate"]
