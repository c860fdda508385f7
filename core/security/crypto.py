"""Secrets at rest: Fernet with rotatable keys (`ENCRYPTION_KEYS`, newest first)."""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


def encrypt(secret: str) -> str:
    return _fernet().encrypt(secret.encode()).decode()


def decrypt(token: str) -> str:
    """The secret behind a stored token; cryptography's InvalidToken when no key fits."""
    return _fernet().decrypt(token.encode()).decode()


def renew(token: str) -> str | None:
    """The token under the newest key, None when it is already; InvalidToken when no key fits."""
    try:
        _with((settings.ENCRYPTION_KEYS[0],)).decrypt(token.encode())
    except InvalidToken:
        return _fernet().rotate(token.encode()).decode()
    return None


class CiphertextField(models.TextField[str, str]):
    """A column of tokens that `encrypt` made; `manage.py rotate_secrets` finds it by its type."""


def _fernet() -> MultiFernet:
    return _with(tuple(settings.ENCRYPTION_KEYS))


@lru_cache(maxsize=8)
def _with(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
