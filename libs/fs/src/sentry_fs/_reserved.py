"""Holds the place of sentry_fs until its first module lands."""
