"""What a customer wants sent along with every request, as it is stored: encrypted JSON."""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from core import crypto


def sealed(headers: Mapping[str, str]) -> str:
    return crypto.encrypt(orjson.dumps(dict(headers)).decode()) if headers else ""


@lru_cache(maxsize=10_000)
def opened(token: str) -> Mapping[str, str]:
    """InvalidToken when no key of ENCRYPTION_KEYS fits."""
    found: dict[str, str] = orjson.loads(crypto.decrypt(token)) if token else {}
    return found
