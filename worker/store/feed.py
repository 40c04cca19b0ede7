"""The feed: every event by its place. Places are given in an order that no late commit slips behind (`outbox.py`)."""

from typing import Any, NamedTuple

from sqlalchemy import Engine, text

from confirmation.events import cloud_event
from worker.store.engine import named_errors

_READ = """
SELECT place, id, type, at, document FROM payconfirm.outbox WHERE place > :after ORDER BY place LIMIT :most
"""


class Placed(NamedTuple):
    """An event, as CloudEvents 1.0 JSON, and where it stands in the feed."""

    place: int
    event: dict[str, Any]


class Feed:
    """Reads; changes nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, after: int, most: int) -> list[Placed]:
        """The next events after this place, in order; 0 is the place before the first."""
        with named_errors(), self._engine.connect() as connection:
            rows = connection.execute(text(_READ), {"after": after, "most": most})
            return [Placed(row.place, cloud_event(row.id, row.type, row.at, row.document)) for row in rows]
