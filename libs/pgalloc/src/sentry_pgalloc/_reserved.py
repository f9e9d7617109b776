"""Holds the place of sentry_pgalloc until its first module lands."""
