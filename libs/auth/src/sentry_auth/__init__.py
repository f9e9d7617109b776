"""Identities, capabilities and the rules that change them. Floor 4."""

from sentry_auth._credentials import ALL_CAPS, Credentials, user_credentials

__all__ = ["ALL_CAPS", "Credentials", "user_credentials"]
