"""The wheel holds the client and nothing else, and works where nothing else of ours is."""

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import requests

from tests.houses import standing
from tests.integration.callback_house import SECRET

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

#: What a shop runs that receives callbacks, on nothing but the wheel.
RECEIVER = """
import http.server, json, sys
import payconfirm

SECRET = sys.argv[1]

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = payconfirm.callbacks.verify(body, self.headers, SECRET)
        except payconfirm.CallbackRefused as why:
            self.send_response(400)
            print(json.dumps({"refused": str(why)}), flush=True)
        else:
            self.send_response(204)
            print(json.dumps(event), flush=True)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
print(server.server_address[1], flush=True)
server.serve_forever()
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


@pytest.fixture(scope="module")
def house(servers, tmp_path_factory):
    variables = {"CALLBACK_SECRET": SECRET, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1"}
    with standing(servers, tmp_path_factory.mktemp("house"), **variables) as house:
        yield house


def test_a_service_that_has_only_the_wheel_enqueues_and_gets_its_result(elsewhere, house, tmp_path):
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


def test_a_service_that_has_only_the_wheel_receives_callbacks(elsewhere, house, tmp_path):
    command, nowhere = [elsewhere, "-I", "-W", "error", "-c", RECEIVER, SECRET], {"PATH": "/usr/bin:/bin"}
    receipt_id = RECEIPT[::-1]
    with subprocess.Popen(command, cwd=tmp_path, env=nowhere, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/hook"
            stranger = requests.post(url, data=b"{}", headers={"webhook-id": "x"}, timeout=30)
            refused = json.loads(receiver.stdout.readline())
            house.control("POST", "/sandbox/receipts", {"receipt_id": receipt_id, "order_id": "o", "price": 3000})
            document = {"receipt_id": receipt_id, "order_id": "o", "amount": 3000, "callback_url": url}
            headers = {"Authorization": f"Bearer {house.keys.api}"}
            requests.post(f"{house.web_url}/v1/confirmations", json=document, headers=headers, timeout=30)
            event = json.loads(receiver.stdout.readline())
        finally:
            receiver.kill()

    assert (stranger.status_code, refused) == (400, {"refused": "the header webhook-timestamp is missing"})
    assert (event["type"], event["subject"], event["data"]["state"]) == (
        "payconfirm.confirmed",
        receipt_id,
        "confirmed",
    )
