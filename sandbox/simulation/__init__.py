"""The rules under a seeded scheduler: many receipts, interleaved, with all that can go wrong on the way.

`run.py` is one world: `stories.py` draws what each receipt meets and `faults.py` what its calls do, `fate.py` what
befalls it on its way, `scheduler.py` runs one worker inside another's waits, `passages.py` and `outside.py` make every
call a place to wait, to pause or to die, `processes.py` has several processes, `people.py` has people step in,
`promises.py` and `turns.py` say what must hold after every step and at the end. `simulating.py` runs many worlds,
`shortest.py` finds the shortest story of one that breaks a promise. The same seed gives the same story.
"""

from sandbox.simulation.broken import PromiseBroken
from sandbox.simulation.plans import Plan, worlds
from sandbox.simulation.run import Simulation
from sandbox.simulation.shortest import shortest, tell
from sandbox.simulation.simulating import endings, simulate

__all__ = ["Plan", "PromiseBroken", "Simulation", "endings", "shortest", "simulate", "tell", "worlds"]
