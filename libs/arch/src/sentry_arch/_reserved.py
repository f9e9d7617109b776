"""Holds the place of sentry_arch until its first module lands."""
