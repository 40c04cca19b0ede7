"""What befalls one receipt: drawn from a seed of its own, so that it stays much the same without the others."""

from collections.abc import Collection
from random import Random
from typing import NamedTuple


class Chances(NamedTuple):
    """What can happen at one place, and how often out of all passages there."""

    each: tuple[tuple[str, float], ...]
    sum: float

    @classmethod
    def of(cls, **each: float) -> "Chances":
        """Name them: `killed_before=0.004`."""
        named = tuple((name.replace("_", "-"), chance) for name, chance in each.items())
        return cls(named, sum(each.values()))

    def pick(self, drawn: float) -> str:
        """Give the one that a number below the sum stands for."""
        for name, chance in self.each:
            if drawn < chance:
                return name
            drawn -= chance
        return self.each[-1][0]


class Fate:
    """Draws one receipt's incidents and times.

    An incident's name says all about it: `r3/claim/2/killed-before` is the worker killed before its second claim of
    r3. Where a list of names is given, these happen and no others, and the times stay as they were drawn.
    """

    def __init__(self, name: str, seed: str, given: Collection[str] | None, happened: list[str]) -> None:
        self.random = Random(f"{seed}/{name}")  # noqa: S311 - a story, no secret
        self._name = name
        self._given = given
        self._happened = happened
        self._passages: dict[str, int] = {}

    def draw(self, place: str, chances: Chances) -> str:
        """Say what happens at this passage of the place; empty for nothing, as nearly always."""
        passage = self._passages[place] = self._passages.get(place, 0) + 1
        drawn = self.random.random()
        if self._given is not None:
            return self._look_up(place, passage, chances)
        if drawn >= chances.sum:
            return ""
        incident = chances.pick(drawn)
        self._happened.append(f"{self._name}/{place}/{passage}/{incident}")
        return incident

    def keeps(self, what: str) -> bool:
        """Say whether something that was drawn beforehand happens."""
        incident = f"{self._name}/{what}"
        kept = self._given is None or incident in self._given
        if kept:
            self._happened.append(incident)
        return kept

    def _look_up(self, place: str, passage: int, chances: Chances) -> str:
        for incident, _ in chances.each:
            name = f"{self._name}/{place}/{passage}/{incident}"
            if name in (self._given or ()):
                self._happened.append(name)
                return incident
        return ""
