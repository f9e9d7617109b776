"""Holds the place of sentry_loader until its first module lands."""
