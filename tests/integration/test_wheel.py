"""The wheel holds the client and nothing else, and works where nothing else of ours is."""

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.houses import standing

ROOT = Path(__file__).parents[2]
RECEIPT = "5afd6be8e13f33616f2876ac"

#: What another service runs: no repository around it, no variables of ours.
PRODUCER = """
import sys
import payconfirm

address = sys.argv[1]
document = {"receipt_id": "5afd6be8e13f33616f2876ac", "order_id": "order-1001", "amount": 3000}
with payconfirm.Client.from_url(address, result_url=address) as client:
    print(payconfirm.__file__)
    print(client.enqueue(document).task_id)
    print(client.wait(document["receipt_id"], timeout=20)["state"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """The Python of an environment that holds the wheel and what it asks for, in the versions tested here."""
    folder = tmp_path_factory.mktemp("elsewhere")
    versions = folder / "constraints.txt"
    pinned = re.findall(r"^[\w.-]+==[^\s\\;]+", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    versions.write_text("\n".join(pinned))
    python = folder / "venv" / "bin" / "python"
    uv = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    venv.create(folder / "venv", with_pip=uv is None)
    install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    _run(*install, "--quiet", "-c", versions, wheel)
    return python


def _run(*command):
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_holds_the_client_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0] for name in names} == {"payconfirm", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    assert "payconfirm/py.typed" in names
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "payconfirm").rglob("*") if path.suffix == ".py"}
    assert ours == {name for name in names if name.endswith(".py")}


def test_the_wheel_asks_for_no_more_than_a_producer_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        asked_for = HeaderParser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist")

    assert {re.match(r"[\w-]+", line)[0] for line in asked_for} == {"celery", "pydantic", "redis"}


def test_a_service_that_has_only_the_wheel_enqueues_and_gets_its_result(elsewhere, servers, tmp_path):
    with standing(servers, tmp_path) as house:
        receipt = {"receipt_id": RECEIPT, "order_id": "order-1001", "price": 3000}
        house.control("POST", "/sandbox/receipts", receipt)

        done = subprocess.run(
            [elsewhere, "-I", "-W", "error", "-c", PRODUCER, house.addresses.redis_url],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 0, done.stderr
    imported, task_id, state = done.stdout.splitlines()
    assert Path(imported).is_relative_to(elsewhere.parents[1])
    assert (task_id, state) == (f"payconfirm-{RECEIPT}", "confirmed")
