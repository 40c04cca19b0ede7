"""The programs of a demo: none outlives it, and one that ends by itself is told from one that was killed."""

import os
import signal
import sys
import time

import pytest

from sandbox.demo import ground, interrupts
from sandbox.demo.programs import HouseProblem, Program, read_procfile, stop
from tests.integration.demos import PATIENCE_SECONDS, alive, descendants, read_until, running


def test_a_ctrl_c_that_comes_in_a_destructor_is_not_lost():
    """An exception that is raised there is printed and forgotten."""
    lines = """
import os, signal
from sandbox.demo.interrupts import Interrupted, heed, note_interrupts
class Interrupting:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
note_interrupts()
heed()
Interrupting()
try:
    heed()
except Interrupted:
    print("heeded")
"""
    with running(sys.executable, "-c", lines) as program:
        assert program.communicate(timeout=PATIENCE_SECONDS)[0] == "heeded\n"


@pytest.mark.parametrize(("noted", "kept"), [([], ["web.log"]), ([signal.SIGINT], [])])
def test_the_logs_of_a_demo_that_fails_stay_unless_somebody_stopped_it(noted, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(ground, "STATE", tmp_path)
    monkeypatch.setattr(interrupts, "_noted", noted)

    with pytest.raises(HouseProblem):
        fail_with_a_log()

    assert [file.name for file in tmp_path.rglob("*")][1:] == kept


def fail_with_a_log():
    with ground.throw_away_folder() as folder:
        (folder / "web.log").touch()
        raise HouseProblem("a program was interrupted, too")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_program_does_not_outlive_a_demo_that_is_killed(tmp_path):
    lines = f"""
import os, pathlib, signal
from sandbox.demo.programs import Program
program = Program("sleeper", ["sh", "-c", "echo here; exec sleep 600"], os.environ, pathlib.Path({str(tmp_path)!r}))
program.start()
program.wait_until(lambda said: said)
print("started", flush=True)
signal.pause()
"""
    with running(sys.executable, "-c", lines) as launcher:
        read_until(launcher, "started")
        pids = descendants(launcher.pid)
        assert pids

        launcher.kill()
        launcher.wait()

        deadline = time.monotonic() + PATIENCE_SECONDS
        while alive(pids):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_program_that_ends_by_itself_is_told_with_its_last_words(tmp_path):
    program = Program("web", ["sh", "-c", "echo no such port >&2; exit 3"], os.environ, tmp_path)
    program.start()

    with pytest.raises(HouseProblem, match=r"(?s)web ended by itself with 3.*web\.log.*no such port"):
        program.wait_until(lambda _: None)


def test_a_program_that_was_killed_is_started_again_and_never_taken_for_one_that_ended_by_itself(tmp_path):
    program = Program("worker-1", ["sh", "-c", "echo $$ ready.; exec sleep 600"], os.environ, tmp_path)
    program.start()
    first = program.wait_until(lambda said: said)

    program.kill()
    program.check()
    program.start()

    assert program.wait_until(lambda said: said) != first  # its own words, not those of the dead
    assert (tmp_path / "worker-1.log").read_text() == first
    program.check()
    stop([program])
    with pytest.raises(HouseProblem, match="worker-1 ended by itself"):
        program.check()


def test_a_program_that_is_stopped_hears_that_it_is_to_end(tmp_path):
    program = Program(
        "worker-1",
        ["sh", "-c", "trap 'echo goodbye; exit' TERM; echo here; while :; do sleep 0.1; done"],
        os.environ,
        tmp_path,
    )
    program.start()
    program.wait_until(lambda said: said)

    program.send(signal.SIGSTOP)
    stop([program])

    assert program.said == "here\ngoodbye\n"


def test_the_procfile_holds_the_lines_that_the_house_starts():
    assert {"release", "web", "worker", "relay"} <= read_procfile().keys()
