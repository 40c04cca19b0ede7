"""What goes through Redis and the broker: the per-receipt lock, hints that may be lost, and messages."""
