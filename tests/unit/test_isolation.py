"""No test can reach anything but this machine, nor what the caller's environment points to; and no demo the latter."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings
from sandbox.demo.ground import forget_what_is_ours

ROOT = Path(__file__).parent.parent.parent
SETTINGS = {name.upper() for name in Settings.model_fields if name != "role"}


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "shop.example"])
def test_a_connection_that_leaves_the_machine_is_refused(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as outward, pytest.raises(AssertionError, match="only loopback is open"):
        outward.connect((address, 80))


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_nothing_of_the_callers_environment_reaches_a_test(tmp_path):
    """The test below is run by a pytest of its own, whose caller has everything set."""
    aimed = dict.fromkeys((*SETTINGS, "PGHOST", "CELERY_BROKER_URL"), "x")
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    probe = tmp_path / "test_probe.py"
    probe.write_text(f"import os\ndef test_probe(): assert not set(os.environ) & {set(aimed)}\n")
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(probe)],
        cwd=ROOT,
        env=os.environ | aimed,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_a_demo_forgets_every_setting_of_the_callers_but_those_that_it_makes_itself(monkeypatch):
    """A program of the house refused to start over one that was left."""
    for name in SETTINGS:
        monkeypatch.setenv(name, "x")

    forget_what_is_ours()

    assert os.environ.keys() & SETTINGS == {"API_KEYS", "OPERATOR_KEYS", "LOG_FORMAT", "LOG_LEVEL"}
