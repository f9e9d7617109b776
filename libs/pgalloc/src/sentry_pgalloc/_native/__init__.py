"""The compiled part; only `_host` imports it."""
