"""The truth: rows in PostgreSQL, and the statements that read and write them.

`ledger.py` is the rules' `Store`; `statements.py` has its SQL. The relay reads `schedule.py` and `outbox.py`; people on
duty and the doors read `reading.py`, `stock.py` and `dead_letters.py`.
"""
