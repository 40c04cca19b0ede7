"""The tests' own bootstrap of a relay: it can be stopped and woken after whatever it has done.

It is `worker.bootstrap` with each part wrapped. It comes to a place only where there was something to do.
"""

from dataclasses import fields, replace

from sqlalchemy import Engine, event
from watch import Watch

from config import logs
from config.settings import load
from worker import bootstrap
from worker.relay import duties
from worker.relay.events import EventPublisher

watch = Watch()

#: Statements in whose transaction it can be stopped, by words that stand in no other: it holds rows then.
HOLDING = {
    "taking": "UPDATE payconfirm.outbox o SET leased_until = clock_timestamp() +",
    "placing": "nextval('payconfirm.feed')",
    "marking": "UPDATE payconfirm.outbox o SET published_at = clock_timestamp()",
    "reading results": "WHERE o.result_due ORDER BY",
    "storing": "SET result_due = o.result_asked",
}
WATCHED = ("schedule", "outbox", "dead_letters", "sender", "results")


class Watched:
    """A part whose every call is written down."""

    def __init__(self, name, part):
        self._name, self._part = name, part

    def __getattr__(self, name):
        return watched(f"{self._name}.{name}", getattr(self._part, name))


def watched(name, call):
    def passed(*arguments, **named):
        watch.come_to(name, "before")
        result = call(*arguments, **named)
        if result or result is None:
            watch.note(passed=name, statements=0)
            watch.come_to(name, "after")
        return result

    return passed


def after_statement(_connection, _cursor, statement, *_):
    for name, words in HOLDING.items():
        if words in statement:
            watch.come_to(name, "holding rows")


def build():
    settings = load()
    logs.configure(settings)
    parts = bootstrap.build_relay(settings)
    known = {field.name: getattr(parts, field.name) for field in fields(parts)}
    return replace(parts, **{name: Watched(name, known[name]) for name in WATCHED})


if __name__ == "__main__":
    EventPublisher._send = watched("event", EventPublisher._send)
    event.listen(Engine, "after_cursor_execute", after_statement)
    duties.run(build())
