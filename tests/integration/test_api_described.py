"""The HTTP door against its own description: schemathesis asks a real process all that it allows, and what it doesn't.

What it makes up is the same each time; a failure names its request, and comes again with `--generation-deterministic`.
"""

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest

from api.examples import CONFIRMED, ORDER
from tests.integration.web_process import OPERATOR, ROOT, shared_door
from worker.store.engine import make_engine
from worker.store.outbox import Outbox

#: A stream ends only when its reader goes: tests/integration/test_api_events.py follows it.
ENDLESS = "/v1/events/stream"
EXAMPLES = 8
GATEWAY_KEYS = {"BOOTPAY_CLIENT_KEY": "sandbox-client", "BOOTPAY_SECRET_KEY": "sandbox-secret"}
CONFIGURATION = """
[parameters]
"query.wait" = 0.1
"""
#: Not everything that a schema allows is right: a cursor is one that was given, a callback's host is listed, and 7.0 is
#: no whole number here.
BEYOND_A_SCHEMA = "positive_data_acceptance"
TOLD = """
WITH moved AS (UPDATE payconfirm.confirmations SET state = 'confirmed', sequence = 1, due_at = NULL
               WHERE receipt_id = %s RETURNING receipt_id)
INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
SELECT %s, receipt_id, 1, 'payconfirm.confirmed', %s, now(), false FROM moved
"""


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    """Where the receipt of the examples is confirmed, told and placed."""
    folder = tmp_path_factory.mktemp("web")
    with shared_door(servers, template_database, folder, BOOTPAY_URL="http://127.0.0.1:1", **GATEWAY_KEYS) as web:
        assert web.post(ORDER).status_code == 202
        web.rows.ask(TOLD, ORDER["receipt_id"], str(uuid4()), json.dumps(CONFIRMED))
        engine = make_engine(web.addresses["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"))
        Outbox(engine).place(10)
        engine.dispose()
        yield web


@pytest.mark.timeout(300)
def test_every_answer_is_one_that_the_description_names(web, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"),
        *(f"{web.url}/openapi.json", "--exclude-checks", BEYOND_A_SCHEMA, "--exclude-path", ENDLESS),
        *("--header", f"Authorization: {OPERATOR['Authorization']}", "--generation-deterministic"),
        *("--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing"),
        *("--request-timeout", "10", "--no-color", "--workers", "1"),  # two meet a bug of Python 3.11's own parser
    ]

    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "web.failed" not in web.log.read_text()
