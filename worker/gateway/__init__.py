"""The payment gateway, Bootpay v1 and v2, as `confirmation.ports.Gateway` wants it. Start with `bootpay.py`."""

from worker.gateway.account import Account
from worker.gateway.bootpay import BootpayGateway

__all__ = ["Account", "BootpayGateway"]
