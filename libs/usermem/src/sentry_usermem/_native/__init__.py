"""The compiled part; only `_atomic` imports it."""
