"""What a person does, by the very rules."""

from confirmation.operating import Rows, may, retry, void
from confirmation.operators import Act
from confirmation.ports import World
from confirmation.resolving import Resolving, Word
from sandbox.simulation.stories import Deed

WHO = "somebody on duty"


def word(deed: Deed) -> Word | None:
    """What the person says, if anything."""
    return Word(deed.word, deed.force, WHO) if deed.act is Act.RESOLVE else None


def do(deed: Deed, receipt_id: str, rows: Rows, world: World) -> None:
    """Do it. Raises `NotDone`, and whatever the rules raise."""
    said = word(deed)
    if said:
        Resolving(rows, world).resolve(receipt_id, said)
    elif deed.act is Act.VOID:
        void(rows, may(rows, Act.VOID, receipt_id), WHO, restock=deed.restock)
    else:
        retry(rows, receipt_id, WHO)
