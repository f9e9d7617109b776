"""Holds the place of sentry_mm until its first module lands."""
