"""Holds the place of sentry_vfs until its first module lands."""
