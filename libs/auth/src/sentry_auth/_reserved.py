"""Holds the place of sentry_auth until its first module lands."""
