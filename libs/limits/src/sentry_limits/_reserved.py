"""Holds the place of sentry_limits until its first module lands."""
