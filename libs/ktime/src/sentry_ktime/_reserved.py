"""Holds the place of sentry_ktime until its first module lands."""
