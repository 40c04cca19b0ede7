"""Callbacks: a POST of each event to the shop's own address, signed, and with no way into the inside.

`hosts.py` and `addresses.py` say where one may go, `sending.py` sends it there, `signing.py` signs it, and
`delivery.py` is the way of one callback, from its claim to what is written of it.
"""
