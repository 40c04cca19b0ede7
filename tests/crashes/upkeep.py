"""What programs cost while they only wait: a processor's time, and open sockets. Measured on Linux, elsewhere zero."""

import os
import time
from pathlib import Path

PROC = Path("/proc")
MEASURABLE = (PROC / "self/stat").exists()

#: A program that waits takes a twentieth of a processor at the very most; usual is a hundredth.
MOST_WORK = 0.05
#: A new connection for each try would be more by the end.
MOST_SOCKETS = 6


class Upkeep:
    """Compares programs with what they were when it was built."""

    def __init__(self, programs):
        self._before = {program: (seconds_worked(program), sockets(program)) for program in programs}
        self._began = time.monotonic()

    def too_much(self):
        """Those that worked for too long, or have too many sockets, and how much of both."""
        seconds = time.monotonic() - self._began
        now = {program: (seconds_worked(program), sockets(program)) for program in self._before}
        more = {
            program.name: (now[program][0] - worked, now[program][1] - opened)
            for program, (worked, opened) in self._before.items()
        }
        return {name: cost for name, cost in more.items() if cost[0] > MOST_WORK * seconds or cost[1] > MOST_SOCKETS}


def seconds_worked(program):
    """How long it had a processor since its start."""
    if not MEASURABLE:
        return 0.0
    fields = _of(program, "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sockets(program):
    """How many sockets it has open."""
    return sum(_leads_to(entry).startswith("socket:") for entry in _of(program, "fd").iterdir()) if MEASURABLE else 0


def _of(program, name):
    return PROC / str(program._process.pid) / name


def _leads_to(entry):
    try:
        return str(entry.readlink())
    except OSError:  # closed since it was listed
        return ""
