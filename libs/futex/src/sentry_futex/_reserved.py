"""Holds the place of sentry_futex until its first module lands."""
