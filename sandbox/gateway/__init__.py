"""A Bootpay-compatible gateway for one machine: both API versions, scripted faults, and a ledger of what was charged.

Read `receipts.py` (what a receipt can go through), then `calls.py` (how one call is answered), then `faults.py`.
"""
