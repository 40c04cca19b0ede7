"""The numbers that a receipt's status is told in. Inside it is v2's numbering, with v1's where v2 has no word."""

WAITING = 0
PAID = 1
READY = 2
IN_FLIGHT = 4
AWAITING_DEPOSIT = 5
CANCELLED = 20
FAILED = -2
VBANK_CANCELLED = -3
REQUEST_FAILED = -4
CANCEL_FAILED = -20
CANCELLING = -30

#: Money was taken and not all of it has gone back.
HOLDS_MONEY = frozenset({PAID, CANCEL_FAILED, CANCELLING})

#: v1 says these differently. An issued virtual account looks like a payment that is ready, but for its method.
IN_V1 = {IN_FLIGHT: 3, AWAITING_DEPOSIT: READY, REQUEST_FAILED: -1}
#: v2 has no word for a cancel on its way or failed: the receipt is still paid.
IN_V2 = {CANCEL_FAILED: PAID, CANCELLING: PAID}
#: What a test may say in v1's numbers.
FROM_V1 = {3: IN_FLIGHT, -1: REQUEST_FAILED}

#: Only the names of 1 are documented; the others are ours.
NAMES = {
    WAITING: ("ready", "결제대기"),
    PAID: ("complete", "결제완료"),
    READY: ("confirm", "승인대기"),
    IN_FLIGHT: ("progress", "승인중"),
    AWAITING_DEPOSIT: ("confirm", "입금대기"),
    CANCELLED: ("cancel", "결제취소완료"),
    FAILED: ("fail", "결제승인실패"),
    VBANK_CANCELLED: ("vbank_cancel", "가상계좌발급취소"),
    REQUEST_FAILED: ("request_fail", "결제요청실패"),
    CANCEL_FAILED: ("cancel_fail", "결제취소실패"),
    CANCELLING: ("cancel_progress", "결제취소중"),
}
UNNAMED = ("unknown", "알 수 없음")


def read_status(number: int, method: str) -> int:
    """Return our number for one that a test gave in either version's; a virtual account at 2 waits for its deposit."""
    if number == READY and method == "vbank":
        return AWAITING_DEPOSIT
    return FROM_V1.get(number, number)
