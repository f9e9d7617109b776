"""The native part; only `_host` imports it."""
