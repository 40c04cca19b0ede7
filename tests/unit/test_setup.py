"""When `.venv` is built again, and what is said where that can't be done."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import setup
from sandbox.setup import Failed, Missing, Venv

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "check out"
    folder.mkdir()
    (folder / "requirements-dev.txt").write_text("one==1\n")
    return folder


@pytest.fixture
def venv(checkout):
    """As a finished setup leaves it."""
    made = Venv(checkout)
    made.python.parent.mkdir(parents=True)
    made.python.symlink_to(sys.executable)
    made.mark()
    return made


@pytest.fixture
def ways(monkeypatch):
    """The ways to install, replaced by ones that note that they were tried; each succeeds unless told otherwise."""
    outcomes = {"_with_uv_of_path": True, "_with_uv_from_pip": True, "_with_pip": True}
    tried = []

    def replace(name):
        def way(_venv, fresh):
            tried.append((name, fresh))
            if isinstance(outcomes[name], BaseException):
                raise outcomes[name]
            return outcomes[name]

        monkeypatch.setattr(setup, name, way)

    for name in outcomes:
        replace(name)
    return outcomes, tried


def test_what_was_finished_is_not_built_again(checkout, venv, ways):
    setup.set_up(checkout)

    assert venv.is_current()
    assert ways[1] == []


def test_a_changed_lock_file_updates_what_is_there(checkout, venv, ways):
    venv.requirements.write_text("one==2\n")

    setup.set_up(checkout)

    assert ways[1] == [("_with_uv_of_path", False)]
    assert venv.is_current()


@pytest.mark.parametrize("spoil", ["python", "stamp", "version"])
def test_what_cannot_be_trusted_is_built_from_nothing(spoil, checkout, venv, ways, monkeypatch):
    if spoil == "python":
        venv.python.unlink()
        venv.python.symlink_to(checkout / "an interpreter that was removed")
    elif spoil == "stamp":
        venv.unmark()
    else:
        monkeypatch.setattr(setup.platform, "python_version", lambda: "3.99.0")

    setup.set_up(checkout)

    assert ways[1] == [("_with_uv_of_path", True)]


@pytest.mark.usefixtures("venv")
def test_a_checkout_that_was_moved_is_built_again(checkout):
    """The programs in bin/ name their interpreter by its full path."""
    moved = checkout.rename(checkout.parent / "elsewhere")

    assert not Venv(moved).is_ours()


def test_an_interrupted_build_leaves_no_stamp(checkout, venv, ways):
    venv.requirements.write_text("one==2\n")
    ways[0]["_with_uv_of_path"] = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        setup.set_up(checkout)

    assert not venv.is_ours()


def test_the_next_way_starts_from_nothing_when_one_fails(checkout, venv, ways):
    venv.requirements.write_text("one==2\n")
    ways[0].update(_with_uv_of_path=False, _with_uv_from_pip=Failed("no such index"))

    setup.set_up(checkout)

    assert ways[1] == [("_with_uv_of_path", False), ("_with_uv_from_pip", False), ("_with_pip", True)]


def test_when_no_way_works_one_line_says_so(checkout, ways):
    ways[0].update(dict.fromkeys(ways[0], Failed("pip: no such index")))

    with pytest.raises(Missing, match=r"requirements-dev.txt can't be installed.*no such index") as problem:
        setup.set_up(checkout)

    assert "\n" not in str(problem.value)


def test_a_second_setup_waits_for_the_first_and_has_nothing_left_to_do(checkout, venv, ways, monkeypatch, capsys):
    venv.unmark()
    flock = fcntl.flock

    def busy(file, operation):
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError
        venv.mark()  # the first one ends
        flock(file, operation)

    monkeypatch.setattr(setup.fcntl, "flock", busy)

    setup.set_up(checkout)

    assert ways[1] == []
    assert "waiting for another setup" in capsys.readouterr().err


def test_an_ordinary_user_without_ensurepip_is_told_the_one_command(monkeypatch, capsys):
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup, "set_up", lambda _: setup._require_ensurepip())

    assert setup.main([]) == 2

    assert capsys.readouterr().err.count("\n") == 1


def test_root_without_ensurepip_gets_it_from_apt(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(setup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(setup, "_run", ran.append)

    setup._require_ensurepip()

    assert [command[:2] for command in ran] == [["apt-get", "update"], ["apt-get", "install"]]
    assert ran[1][-1] in {"python3-venv", "python{}.{}-venv".format(*sys.version_info)}
    assert f"installing {ran[1][-1]}" in capsys.readouterr().err


def test_an_old_python_without_a_newer_one_is_told_what_is_needed(monkeypatch, capsys):
    monkeypatch.setattr(setup, "OLDEST", (99, 0))
    monkeypatch.setattr(setup.shutil, "which", lambda _: None)

    assert setup.main([]) == 2

    assert "Python 3.11 or newer is needed" in capsys.readouterr().err


def test_the_command_finds_the_programs_of_the_venv_first(venv):
    (venv.python.parent / "greet").write_text('#!/bin/sh\necho "hello $1 from $VIRTUAL_ENV"\n')
    (venv.python.parent / "greet").chmod(0o755)
    enter = "import sys, pathlib; from sandbox.setup import *; enter(Venv(pathlib.Path(sys.argv[1])), sys.argv[2:])"
    command = [sys.executable, "-c", enter, str(venv.folder.parent), "greet", "two words"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == f"hello two words from {venv.folder}\n"


def test_an_unknown_program_of_the_sandbox_is_answered_with_its_usage():
    for words in ([], ["nonsense"]):
        done = subprocess.run(
            [sys.executable, "-m", "sandbox", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith("usage: python -m sandbox gateway|servers|")
