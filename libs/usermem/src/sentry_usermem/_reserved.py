"""Holds the place of sentry_usermem until its first module lands."""
