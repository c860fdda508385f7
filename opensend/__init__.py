from typing import NoReturn

from opensend.celery import app as celery_app

__all__ = ["celery_app"]


def __getattr__(name: str) -> NoReturn:
    # `opensend` is also the name of a client on PyPI, whose users may start in this checkout.
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}. This is the package of the server; the "
        "client of the same name is found by programs outside the server's checkout.",
        name=name,
    )
