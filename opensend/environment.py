"""Reads environment variables, and keeps what is wrong with them for opensend.checks.

Nothing raises here: `manage.py check` and the start of every process name all wrong variables at
once. An empty variable counts as unset, as compose files leave them.
"""

import builtins
import math
import os
from collections.abc import Callable, Collection
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar

import environ
import psycopg
from psycopg.conninfo import make_conninfo

T = TypeVar("T")
Problem = tuple[builtins.str, builtins.str]  # a variable, and what is wrong with it

_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})
_MAX_INT = 2**31 - 1
# Parameters of a database URL: those that Django takes out, and what libpq's may be.
_DJANGO_OPTIONS = frozenset({"assume_role", "isolation_level", "pool", "server_side_binding"})
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)


class Environment:
    """Each method returns the value of one variable, or its default if it is unset or wrong.

    The default may lie outside the limits: they apply to what somebody wrote.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read_file(self, path: Path) -> None:
        """Add the variables of a `.env` file; real ones win. No file, no error."""
        environ.Env.read_env(path)

    def str(
        self, name: builtins.str, *, default: builtins.str = "", needed: builtins.str = ""
    ) -> builtins.str:
        """What is `needed` may not be missing; the text says what it is."""
        value = os.environ.get(name, "").strip() or default
        if needed and not value:
            self.problems.append((name, f"is needed: {needed}"))
        return value

    def bool(self, name: builtins.str, *, default: builtins.bool) -> builtins.bool:
        def parse(text: builtins.str) -> builtins.bool:
            if text.lower() not in _TRUE | _FALSE:
                raise ValueError
            return text.lower() in _TRUE

        return self._parsed(name, parse, default, "`true` or `false`")

    def int(
        self,
        name: builtins.str,
        *,
        default: builtins.int,
        at_least: builtins.int = 1,
        at_most: builtins.int = _MAX_INT,
    ) -> builtins.int:
        def parse(text: builtins.str) -> builtins.int:
            number = int(text)
            if not at_least <= number <= at_most:
                raise ValueError
            return number

        span = (
            f"from {at_least} to {at_most:,}" if at_most < _MAX_INT else f"of at least {at_least}"
        )
        return self._parsed(name, parse, default, f"a whole number {span}")

    def float(
        self,
        name: builtins.str,
        *,
        default: builtins.float,
        at_least: builtins.float | None = None,
        at_most: builtins.float = 1e9,
    ) -> builtins.float:
        """More than 0, unless `at_least` says otherwise."""

        def parse(text: builtins.str) -> builtins.float:
            number = float(text)
            is_enough = number > 0 if at_least is None else number >= at_least
            if not math.isfinite(number) or not is_enough or number > at_most:
                raise ValueError
            return number

        low = "more than 0" if at_least is None else f"at least {at_least:g}"
        return self._parsed(name, parse, default, f"a number, {low} and at most {at_most:,.0f}")

    def days(self, name: builtins.str) -> timedelta | None:
        """None if it is unset."""
        days = self.float(name, default=0.0, at_most=36_500)
        return timedelta(days=days) if days else None

    def list(
        self, name: builtins.str, *, default: builtins.list[builtins.str] | None = None
    ) -> builtins.list[builtins.str]:
        """Comma-separated; blanks around the items don't count."""
        items = [item.strip() for item in self.str(name).split(",")]
        return [item for item in items if item] or list(default or [])

    def choice(
        self, name: builtins.str, *, default: builtins.str, among: Collection[builtins.str]
    ) -> builtins.str:
        def parse(text: builtins.str) -> builtins.str:
            if text not in among:
                raise ValueError
            return text

        return self._parsed(name, parse, default, f"one of {', '.join(among)}")

    def writable_folder(self, name: builtins.str) -> builtins.str:
        """Created if it is missing; "" if it is unset or can't be written to."""

        def parse(text: builtins.str) -> builtins.str:
            try:
                Path(text).mkdir(parents=True, exist_ok=True)
            except OSError:
                raise ValueError from None
            if not os.access(text, os.W_OK):
                raise ValueError
            return text

        return self._parsed(name, parse, "", "a folder that can be written to")

    def networks(self, name: builtins.str) -> builtins.list[IPv4Network | IPv6Network]:
        return self._parsed(
            name,
            lambda _: [ip_network(item) for item in self.list(name)],
            [],
            "a list of networks such as 10.0.0.0/8,fd00::/8",
        )

    def database(
        self, name: builtins.str, *, default: builtins.str = ""
    ) -> dict[builtins.str, Any]:
        """Django's form of a PostgreSQL URL; without a default it is required."""

        def parse(url: builtins.str) -> dict[builtins.str, Any]:
            scheme = url.partition("://")[0]
            if scheme not in ("postgres", "postgresql"):
                raise ValueError
            config = dict(environ.Env.db_url_config(url))
            if not config["NAME"]:
                raise ValueError
            return config

        # A host that no DNS resolves (RFC 6761), until the check stops the process.
        fallback = parse(default or "postgres://not-set.invalid/opensend")
        rule = "a URL such as postgres://user:password@host:5432/opensend"
        self.str(name, default=default, needed=rule)
        config = self._parsed(name, parse, fallback, rule, is_secret=True)
        if wrong := _wrong_parameter(config.get("OPTIONS", {})):
            self.problems.append((name, wrong))
        return config

    def _parsed(
        self,
        name: builtins.str,
        parse: Callable[[builtins.str], T],
        default: T,
        rule: builtins.str,
        *,
        is_secret: builtins.bool = False,
    ) -> T:
        text = self.str(name)
        if not text:
            return default
        try:
            return parse(text)
        except (ValueError, OverflowError):
            shown = "can't be read" if is_secret else f"is `{text}`"
            self.problems.append((name, f"{shown}; it must be {rule}"))
            return default


def _wrong_parameter(options: dict[str, Any]) -> str:
    """What is wrong with the libpq parameters of a database URL; "" if nothing is.

    A wrong one fails each connection, which looks like a database that is away.
    """
    parameters = {name: options[name] for name in options if name not in _DJANGO_OPTIONS}
    try:
        make_conninfo(**parameters)
    except psycopg.ProgrammingError as error:
        return f"has a parameter that libpq does not know: {error}".strip()
    mode = parameters.get("sslmode", "prefer")
    if mode not in _SSL_MODES:
        return f"has sslmode={mode}; it must be one of {', '.join(_SSL_MODES)}"
    for name in _NUMBERS & parameters.keys():
        if not isinstance(parameters[name], int):
            return f"has {name}={parameters[name]}; it must be a whole number"
    return ""
