"""What to run: which receipts of which world, and what happens to them."""

import shlex
from dataclasses import dataclass

#: Each world has this many receipts: memory stays small, and a failure is found in a short story.
RECEIPTS_IN_A_WORLD = 500


@dataclass(frozen=True)
class Plan:
    """One world of one seed, or a part of it. The same plan is the same story."""

    seed: int
    world: int = 0
    #: The numbers of the receipts that take part.
    receipts: tuple[int, ...] = tuple(range(RECEIPTS_IN_A_WORLD))
    #: What goes wrong, by name, and nothing else does; None: whatever is drawn.
    incidents: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """What all that is drawn for this world is drawn from."""
        return f"{self.seed}/{self.world}"

    @property
    def command(self) -> str:
        """The command that runs exactly this."""
        words = ["python", "-m", "sandbox", "simulate", "--seed", str(self.seed), "--world", str(self.world)]
        words += ["--only", ",".join(map(str, self.receipts))]
        if self.incidents is not None:
            words += ["--incidents", ",".join(sorted(self.incidents))]
        return shlex.join(words)


def worlds(seed: int, receipts: int) -> list[Plan]:
    """Share so many receipts out among worlds."""
    firsts = range(0, receipts, RECEIPTS_IN_A_WORLD)
    return [
        Plan(seed, world, tuple(range(min(RECEIPTS_IN_A_WORLD, receipts - first))))
        for world, first in enumerate(firsts)
    ]
