"""`make demo` and `make up`: everything on this machine, and a rush of buyers.

Read `once.py` first: the demo from its first line to its last. `ground.py` is what it stands on, `house.py` starts the
processes (each a program of `programs.py`), `cast.py` says who comes and what must become of them, `rush.py` has them
buy through `doors.py`, `checks.py` adds everything up, `report.py` shows it. With `KILL=1` or `CHAOS=1`, `plan.py` says
what is done to the house meanwhile, and `wrecker.py` does it. `stay.py` is `make up`.
"""

from sandbox.demo.command import main

__all__ = ["main"]
