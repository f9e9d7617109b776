"""The native part; `_cpu` alone imports it."""
