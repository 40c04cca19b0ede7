"""Each receipt's story, line by line, for a person to read."""

from confirmation.confirmation import Confirmation
from confirmation.ports import Step
from sandbox.simulation.runs import Run
from sandbox.simulation.stories import Story

Line = tuple[float, Run, tuple[object, ...]]


class Lines:
    """What happened to each receipt, in order."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Line]] = {}

    def add(self, receipt_id: str, tick: float, run: Run, *told: object) -> None:
        """Keep a line; it is written only when somebody wants to read it."""
        self._lines.setdefault(receipt_id, []).append((tick, run, told))

    def tell(self, story: Story) -> str:
        """Tell what was asked for, what the gateway has at the end, and all that happened in between."""
        receipt_id = story.order.receipt_id
        head = f"{receipt_id}, {story.beginning}: {story.order}\n  at last: {story.receipt}\n"
        return head + "\n".join(map(_line, self._lines.get(receipt_id, [])))


def outcome(confirmation: Confirmation) -> str:
    """The state, with its reason."""
    return f"{confirmation.state}, {confirmation.reason}" if confirmation.reason else confirmation.state.value


def _line(line: Line) -> str:
    tick, run, told = line
    return f"  {tick:12.6f} {run.who} {run.number}: {' '.join(map(_brief, told))}"


def _brief(thing: object) -> str:
    if isinstance(thing, Confirmation):
        hold = "held" if thing.can_move else "not held"
        return f"{outcome(thing)} ({hold}, looks {thing.looks}, submits {thing.submits}, parks {thing.parks})"
    if isinstance(thing, Step):
        return f"({thing.phase}: {thing.seen} -> {thing.decided}){f' {thing.detail}' if thing.detail else ''}"
    return thing if isinstance(thing, str) else repr(thing)
