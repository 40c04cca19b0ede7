"""A small shop: a page where one buys, its server, and tables of its own that take part in our commits.

Read `server.py` first: `pay` is STEP 1 of the guide, with one line changed. `orders.py` is what the shop remembers,
`payconfirm_http.py` how it speaks to us, `callbacks.py`
how it hears of us, `window.py` stands for the payment window, `page/` is what the browser gets.
`tables.py` has the tables, `hook.py` is what ORDER_HOOK names.
"""
