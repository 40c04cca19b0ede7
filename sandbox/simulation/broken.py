"""How a promise breaks."""


class PromiseBroken(AssertionError):
    """A promise doesn't hold. `kind` says which, in the same words each time; `detail` what was there instead."""

    def __init__(self, kind: str, detail: object = "", receipt_id: str = "") -> None:
        super().__init__(kind, str(detail), receipt_id)

    @property
    def kind(self) -> str:
        """Which promise."""
        return str(self.args[0])

    @property
    def receipt_id(self) -> str:
        """The receipt by which it showed; empty as long as nobody has said."""
        return str(self.args[2])

    def of(self, receipt_id: str) -> "PromiseBroken":
        """Say the receipt, where nobody has yet."""
        return self if self.receipt_id else PromiseBroken(self.kind, self.args[1], receipt_id)

    def __str__(self) -> str:
        kind, detail, receipt_id = self.args
        return f"{receipt_id}: {kind}" + (f" ({detail})" if detail else "")
