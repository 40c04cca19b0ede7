"""One function of the SQL door."""

from collections.abc import Callable
from dataclasses import dataclass

#: What is set while a producer's session is inside: nothing of the producer's own is found before PostgreSQL's, a
#: double is written as Python does, and no compiler is started for a query that takes no time.
_SESSION = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET jit = off"


@dataclass(frozen=True)
class Function:
    """A function in the schema `payconfirm`. `takes` names the arguments with their types."""

    name: str
    takes: str
    returns: str
    #: Written only when it is made, where that takes a while.
    body: str | Callable[[], str]
    #: The one that a producer calls, with the owner's rights; all others are called by it.
    open: bool = False

    def created(self) -> str:
        """The statement that makes it, or makes it anew: who may call it may call it still."""
        body = self.body if isinstance(self.body, str) else self.body()
        kind = _SESSION if self.open else "IMMUTABLE"
        return (
            f"CREATE OR REPLACE FUNCTION payconfirm.{self.name}({self.takes}) RETURNS {self.returns}"
            f" LANGUAGE plpgsql {kind} AS $door$\n{body.strip()}\n$door$"
        )

    @property
    def signature(self) -> str:
        """Its name as every other statement needs it."""
        return f"payconfirm.{self.name}({self.takes})"

    @property
    def types(self) -> str:
        """Its name as the catalogue reads it: the types alone."""
        types = [argument.strip().partition(" ")[2] for argument in self.takes.split(",")]
        return f"payconfirm.{self.name}({', '.join(types)})"
