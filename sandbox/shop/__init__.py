"""A small shop whose own tables take part in our commits: `tables.py` has them, `hook.py` is what ORDER_HOOK names."""
