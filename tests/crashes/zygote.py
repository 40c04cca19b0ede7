"""A process that has imported everything and forks a fresh program whenever it is asked to.

A worker's cold start takes more than a second of a core, nearly all of it imports; a fork takes a twentieth of that. It
forks before there is any thread or connection, so what comes out is a process like any other: it runs a line of the
Procfile, with an environment and a log of its own.
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.001
#: Stopped, or dead; as /proc has it, where there is one. Elsewhere a stop is at once enough for what is tried.
STANDING = ("T", "Z", "X")
#: What isn't named here each fork imports for itself; that only costs time.
EVERYTHING = (
    "billiard.dummy",
    "billiard.pool",
    "celery.__main__",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "celery.events.dispatcher",
    "celery.events.receiver",
    "celery.worker.autoscale",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "kombu.pidbox",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "tasks.dead_letter",
    "worker.broker.consumer",
    "worker.duty.commands",
    "worker.relay.duties",
)


@dataclass(frozen=True)
class Forked:
    """One program that was forked. Nobody waits for its end, so its number is nobody else's until the zygote's."""

    pid: int
    log: Path

    @property
    def said(self):
        """Everything in its log so far."""
        return self.log.read_text(errors="replace")

    @property
    def is_ready(self):
        """Whether it takes messages, if it is a worker."""
        return self.log.exists() and " ready." in self.said

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self):
        """Let it stand still, every thread of it."""
        self.send(signal.SIGSTOP)
        while any(state_of(task) not in STANDING for task in Path(f"/proc/{self.pid}/task").glob("*/stat")):
            time.sleep(POLL_SECONDS)

    def kill(self):
        """End it as a crash would."""
        self.send(signal.SIGKILL)


def state_of(task):
    return task.read_text().rpartition(")")[2].split()[0]


class Zygote:
    """Asks for forks."""

    def __init__(self, process, folder):
        self._process = process
        self._folder = folder

    def fork(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> Forked:
        """Run a command that begins with `celery` or with `python -m`."""
        log = self._folder / f"{name}.log"
        asked = {"words": list(words), "environment": dict(environment), "log": str(log)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Forked(int(self._process.stdout.readline()), log)


@contextmanager
def zygote(folder: Path):
    """Start one; at the end it is killed with all that it has forked, the stopped ones included."""
    pipe = subprocess.PIPE
    paths = os.environ | {"PYTHONPATH": str(ROOT)}  # and this folder, where the watched ones are
    process = subprocess.Popen(
        [sys.executable, __file__], cwd=ROOT, env=paths, stdin=pipe, stdout=pipe, text=True, start_new_session=True
    )
    with process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield Zygote(process, folder)
        finally:
            process.stdin.close()  # which also ends them when we are killed


# The process itself ---------------------------------------------------------------------------------------------------


def main():
    import_everything()
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            become(asked)
        say(pid)
    os.killpg(0, signal.SIGKILL)


def import_everything():
    for module in EVERYTHING:
        importlib.import_module(module)


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def become(asked):
    """Be that program, to its end."""
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    os.environ.clear()
    os.environ.update(asked["environment"])
    code = 1
    try:
        code = run(asked["words"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def run(words):
    if words[0] == "celery":
        sys.argv = list(words)
        return importlib.import_module("celery.__main__").main()
    _, _, module, *arguments = words
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    main()
