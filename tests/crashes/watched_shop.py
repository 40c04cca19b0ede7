"""The tests' own bootstrap of a worker with a shop's hook: it can be killed between any two statements of a commit.

Only a transaction of both is watched. It begins with the statement that locks our row; what has a table of the shop in
it is called after that.
"""

import os
import re

from kombu import Exchange, Queue
from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from watch import Watch

from worker import app as worker_app
from worker.broker import transport
from worker.store import together
from worker.store.statements import HOLD, RESERVABLE

FIRST = "pg_current_xact_id()::text AS xid"
assert FIRST in HOLD
assert FIRST in RESERVABLE

watch = Watch()
transactions = {"open": False}


def name_of(statement):
    if FIRST in statement:
        return "hold"
    if statement == together._AFTER:
        return "check"
    theirs = re.search(r"shop\.(\w+)", statement)
    return theirs[1] if theirs else "ours"


def before_statement(_connection, _cursor, statement, *_):
    name = name_of(statement)
    transactions["open"] |= name == "hold"
    if transactions["open"]:
        watch.note(passed=name, statements=1)
        watch.come_to(name, "before")


def ending(name, end):
    """Watch the end of a transaction, and what comes of it."""

    def ended(dialect, connection):
        if not transactions["open"]:
            return end(dialect, connection)
        watch.note(passed=name, statements=1)
        watch.come_to(name, "before")
        end(dialect, connection)
        transactions["open"] = False
        watch.come_to(name, "after")
        return None

    return ended


def acknowledge(qos, tag):
    ack(qos, tag)
    watch.note(passed="ack", statements=0)


event.listen(Engine, "before_cursor_execute", before_statement)
PGDialect_psycopg2.do_commit = ending("COMMIT", PGDialect_psycopg2.do_commit)
PGDialect_psycopg2.do_rollback = ending("ROLLBACK", PGDialect_psycopg2.do_rollback)
ack, transport.QoS.ack = transport.QoS.ack, acknowledge

app = worker_app.app
queue = os.environ["QUEUE"]  # its messages are its own
app.conf.task_queues = [Queue(queue, Exchange(queue, type="direct"), routing_key=queue)]
