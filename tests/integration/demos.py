"""Demos as people start them: with their output in a pipe, and with whom they started."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEMO = (sys.executable, "-m", "sandbox", "demo")
#: A machine that does everything else at the same time.
PATIENCE_SECONDS = 90


@contextmanager
def running(*command, **environment):
    """Start a command with its output in a pipe, in a group of its own, and make sure that it ends."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def read_until(process, words):
    """Read the output up to and with the line that holds these words."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"it never said {words!r}: {''.join(lines)}")


def descendants(pid):
    """The ids of all processes below this one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(map(int, line.split()) for line in listed.splitlines())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pids):
    """Those that still run; what nobody has waited for yet has ended all the same."""
    asked = ["ps", "-o", "pid=,stat=,args=", "-p", ",".join(map(str, pids))]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if not line.split()[1].startswith("Z")]


def demo_with(*words, **environment):
    return subprocess.run(
        [*DEMO, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def how_often(deed, text):
    """What the report counts of this."""
    counted = re.search(rf"^ +(\d+) +[a-z ]*{re.escape(deed)}", text, re.MULTILINE)
    return int(counted[1]) if counted else 0
