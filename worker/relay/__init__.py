"""The relay: turns due rows into messages and carries the outbox out. One or more may run side by side.

`duties.py` runs the loops; `sweep.py`, `results.py` and `events.py` each know one of them.
"""
