"""Secrets at rest: Fernet with rotatable keys (`ENCRYPTION_KEYS`, newest first)."""

from functools import cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def encrypt(secret: str) -> str:
    return _fernet().encrypt(secret.encode()).decode()


def decrypt(token: str) -> str:
    """The secret behind a stored token; cryptography's InvalidToken when no key fits."""
    return _fernet().decrypt(token.encode()).decode()


@cache
def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])
