"""What the control routes take: every body with its defaults, and what makes no sense in it."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from sandbox.gateway import faults, statuses
from sandbox.gateway.ledger import Call
from sandbox.gateway.money import read_amount
from sandbox.gateway.receipts import Receipt, new_receipt_id

Currency = Literal["KRW", "USD"]
Amount = int | Decimal | str


class Body(BaseModel):
    """A control body: a misspelt field is an error, so that no test sets something that doesn't exist."""

    model_config = ConfigDict(extra="forbid")


class NewReceipt(Body):
    """A receipt to open; by default a card payment that is ready to be approved."""

    receipt_id: str = Field(default_factory=new_receipt_id, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    order_id: str = Field(min_length=1)
    price: Amount
    currency: Currency = "KRW"
    method: str = "card"
    status: int = statuses.READY
    name: str = "sandbox item"
    tax_free: Amount = 0

    def receipt(self, now: datetime) -> Receipt:
        """Build the receipt; ValueError when an amount makes no sense."""
        return Receipt(
            receipt_id=self.receipt_id,
            order_id=self.order_id,
            price=read_amount(self.price, self.currency),
            currency=self.currency,
            method=self.method,
            status=statuses.read_status(self.status, self.method),
            name=self.name,
            requested_at=now,
            tax_free=read_amount(self.tax_free, self.currency),
        )


class Change(Body):
    """What to change of a receipt; what isn't named stays."""

    status: int | None = None
    price: Amount | None = None
    cancelled_price: Amount | None = None
    purchased_at: AwareDatetime | None = None
    order_id: str | None = Field(default=None, min_length=1)
    currency: Currency | None = None
    method: str | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _is_no_null(self) -> Self:
        nulls = sorted(name for name in self.model_fields_set - {"purchased_at"} if getattr(self, name) is None)
        if nulls:
            raise ValueError(f"can't be null: {', '.join(nulls)}")
        return self


class NewFault(Body):
    """A fault to script."""

    call: Call
    fault: str
    receipt_id: str | None = None
    times: int = Field(default=1, ge=faults.UNTIL_CLEARED)
    seconds: float | None = Field(default=None, ge=0)
    acts: bool | None = None
    status: int | None = None
    amount: Decimal | None = None

    @model_validator(mode="after")
    def _exists(self) -> Self:
        row = faults.FAULTS.get(self.fault)
        if row is None or self.call not in row.calls:
            possible = ", ".join(name for name, row in faults.FAULTS.items() if self.call in row.calls)
            raise ValueError(f"no fault {self.fault!r} for {self.call}; there are: {possible}")
        if self.acts is not None and not row.either and self.acts is not row.acts:
            raise ValueError(f"{self.fault!r} decides by itself whether it acts")
        return self

    def script(self) -> faults.Script:
        """Build the script with the fault's own defaults filled in."""
        row = faults.FAULTS[self.fault]
        return faults.Script(
            name=self.fault,
            call=self.call,
            receipt_id=self.receipt_id,
            times=self.times,
            seconds=row.seconds if self.seconds is None else self.seconds,
            acts=row.acts if self.acts is None else self.acts,
            status=self.status,
            amount=self.amount,
        )


class Advance(Body):
    """How far to move the clock."""

    advance_seconds: float = Field(ge=0)


ONE_OR_MANY: TypeAdapter[NewReceipt | list[NewReceipt]] = TypeAdapter(NewReceipt | list[NewReceipt])
