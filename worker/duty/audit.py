"""The audit: does everything that is written down add up, and on request, does the gateway say the same?"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import Progress, TaskID
from sqlalchemy import Engine

from confirmation.ports import Gateway
from worker.duty.checks import CHECKS
from worker.duty.reconcile import Reconciliation
from worker.duty.report import MOST_LISTED, Report
from worker.store.auditing import Receipts, Snapshot, snapshot


@dataclass(frozen=True)
class Circumstances:
    """What the books are judged by."""

    #: After it a receipt is soon decided, or people are asked.
    deadline: timedelta = timedelta(minutes=10)
    #: The gateway is away, so that what waits for it is looked at more slowly.
    away: bool = False


AS_EVER = Circumstances()


def audit(engine: Engine, gateway: Gateway | None, screen: Console, given: Circumstances = AS_EVER) -> Report:
    """Read everything once and report. With a gateway every receipt is looked up there as well."""
    with _progress(screen) as progress:
        with snapshot(engine) as seen:
            report = _look_through(seen, given, progress)
        if gateway is not None:
            _ask(gateway, Receipts(engine), report, progress)
    return report


def _look_through(seen: Snapshot, given: Circumstances, progress: Progress) -> Report:
    confirmed = {currency: {"confirmed": minor} for currency, minor in seen.confirmed().items()}
    report = Report(seen.states(), seen.waiting(), seen.in_review(MOST_LISTED), confirmed)
    report.drifted = seen.drifted(MOST_LISTED)
    task = progress.add_task("checks", total=len(CHECKS))
    for check in CHECKS:
        progress.update(task, description=check.name)
        for row in seen.stream(check.sql, vars(given)):
            report.findings.add(check.finding(row))
        progress.advance(task)
    progress.update(task, description="checks")
    return report


def _ask(gateway: Gateway, receipts: Receipts, report: Report, progress: Progress) -> None:
    task: TaskID = progress.add_task("gateway", total=report.receipts)
    reconciliation = Reconciliation(gateway, receipts)
    for page in reconciliation.pages():
        for finding in page.findings:
            report.findings.add(finding)
        progress.advance(task, page.receipts)
    report.money, report.open = reconciliation.money, reconciliation.open
    report.by_people = reconciliation.by_people


@contextmanager
def _progress(screen: Console) -> Iterator[Progress]:
    """Show how far it is, to a person only."""
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        yield progress
