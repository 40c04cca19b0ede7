"""The rules of confirming a payment. Pure: nothing here connects, waits or fails by itself.

Start with `pipeline.py`, then `decisions.py` (the table), `phases.py` (what each decision does), `answers.py` (what the
gateway can say) and `ports.py` (what the rules need from the world).
"""
