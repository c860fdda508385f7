"""Encryption of secrets at rest: Fernet with rotatable keys (`ENCRYPTION_KEYS`, newest first)."""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


def encrypt(secret: str) -> str:
    return _current_cipher().encrypt(secret.encode()).decode()


def decrypt(token: str) -> str:
    """The secret in a stored token. Raises cryptography's InvalidToken if no key decrypts it."""
    return _current_cipher().decrypt(token.encode()).decode()


def rotate(token: str) -> str | None:
    """The token re-encrypted with the newest key, None if it already is; may raise InvalidToken."""
    try:
        _cipher((settings.ENCRYPTION_KEYS[0],)).decrypt(token.encode())
    except InvalidToken:
        return _current_cipher().rotate(token.encode()).decode()
    return None


class CiphertextField(models.TextField[str, str]):
    """A column of tokens from `encrypt`; `manage.py rotate_secrets` finds it by this type."""


def _current_cipher() -> MultiFernet:
    return _cipher(tuple(settings.ENCRYPTION_KEYS))


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
