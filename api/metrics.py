"""How much there is of everything, as Prometheus reads it."""

from collections.abc import Iterable
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api import openapi
from api.door import door_of
from api.keys import Operator
from confirmation.errors import StoreBusy, StoreUnavailable
from confirmation.states import State
from worker.duty.measures import MOST, Measure
from worker.relay.queues import Bound

router = APIRouter(tags=["on duty"])

_UP_TO = f"counted up to {MOST}"
#: By the name of a measure: what it is called here, what it means, the label, and the labels that are always there.
_GAUGES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "confirmations": (
        "payconfirm_confirmations",
        f"Receipts by state; open ones are {_UP_TO}, ended ones by the database's statistics once there are many.",
        "state",
        tuple(State),
    ),
    "review": ("payconfirm_review", f"Receipts that people are asked about, by reason, {_UP_TO}.", "reason", ()),
    "due": ("payconfirm_due", f"Receipts whose look is due, {_UP_TO}.", "", ()),
    "overdue": ("payconfirm_overdue", f"Receipts whose look was due too long ago, {_UP_TO}.", "", ()),
    "oldest_due": ("payconfirm_oldest_due_seconds", "For how long the oldest look has been due.", "", ()),
    "outbox": (
        "payconfirm_outbox_waiting",
        f"Announcements that are to be carried out, by the way they take, {_UP_TO}.",
        "way",
        (),
    ),
    "outbox_oldest": (
        "payconfirm_outbox_waiting_seconds",
        "For how long the oldest announcement has waited, by the way it takes.",
        "way",
        (),
    ),
    "dead_letters": ("payconfirm_dead_letters", f"What came in and nobody could use, {_UP_TO}.", "", ()),
    "callbacks": (
        "payconfirm_callbacks",
        f"Callbacks that aren't delivered, by state, {_UP_TO}.",
        "state",
        ("pending", "failed", "paused"),
    ),
}


@router.get("/metrics", summary="What Prometheus reads", **openapi.METRICS)
async def metrics(request: Request, _: Operator) -> Response:
    """Give the numbers of the house, and this process's own. Without the database only the latter."""
    door = door_of(request)
    measures: list[Measure] = []
    queues: dict[str, Bound] = {}
    with suppress(StoreBusy, StoreUnavailable):  # also where no thread became free in time
        queues = await door.aside.run(door.queues.read)
        measures = await door.aside.run(door.measures.read)
    house = CollectorRegistry()
    house.register(House(measures, following=door.following.readers, queues=queues))
    return Response(
        generate_latest(house) + generate_latest(request.app.state.requests.registry),
        headers={"Content-Type": CONTENT_TYPE_LATEST},
    )


class House(Collector):
    """Numbers that were read for this one scrape."""

    def __init__(self, measures: list[Measure], following: int, queues: dict[str, Bound]) -> None:
        self._measures = measures
        self._following = following
        self._queues = queues

    def collect(self) -> Iterable[Metric]:
        """Give each as a gauge."""
        read = 1.0 if self._measures else 0.0
        yield GaugeMetricFamily("payconfirm_database_read", "Whether the database could be measured.", value=read)
        yield GaugeMetricFamily("payconfirm_http_streams", "Streams of events that are open.", value=self._following)
        yield from self._bound()
        if self._measures:
            yield from (self._gauge(name) for name in _GAUGES)

    def _bound(self) -> Iterable[Metric]:
        length = GaugeMetricFamily("payconfirm_events_queue", "Events in each queue bound on Redis.", labels=["queue"])
        missed = CounterMetricFamily("payconfirm_events_missed", "Events each missed over the cap.", labels=["queue"])
        for name, queue in self._queues.items():
            length.add_metric([name], queue.waiting)
            missed.add_metric([name], queue.missed)
        return length, missed

    def _gauge(self, measure: str) -> GaugeMetricFamily:
        name, words, label, always = _GAUGES[measure]
        gauge = GaugeMetricFamily(name, words, labels=[label] if label else [])
        values = dict.fromkeys(always, 0.0) | {
            each.label: each.value for each in self._measures if each.name == measure
        }
        for value in values:
            gauge.add_metric([value] if label else [], values[value])
        return gauge
