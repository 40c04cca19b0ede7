"""In-memory twins of all that the rules need from the world: deterministic, and as fast as Python is.

`store.py` keeps the rows as the real store does, `gateway.py` the receipts and a ledger, `clock.py` the time that both
go by. One contract suite holds a twin and its real part together.
"""

from sandbox.twins.clock import Clock
from sandbox.twins.gateway import Fault, TwinGateway, TwinReceipt
from sandbox.twins.lock import TwinLock
from sandbox.twins.operating import TwinOperating
from sandbox.twins.shop import TwinShop
from sandbox.twins.stock import CheckViolated, TwinStock
from sandbox.twins.store import Announcement, TwinRow, TwinStore
from sandbox.twins.world import Twins

__all__ = [
    "Announcement",
    "CheckViolated",
    "Clock",
    "Fault",
    "TwinGateway",
    "TwinLock",
    "TwinOperating",
    "TwinReceipt",
    "TwinRow",
    "TwinShop",
    "TwinStock",
    "TwinStore",
    "Twins",
]
