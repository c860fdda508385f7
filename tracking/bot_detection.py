"""Classifies opens and clicks as human or machine: mail scanners, image proxies, scripts."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Verdict(NamedTuple):
    kind: str  # human, machine or unknown
    reasons: tuple[str, ...]

    @property
    def is_machine(self) -> bool:
        return self.kind == "machine"


# Apple's Mail Privacy Protection sends exactly this user agent.
_APPLE_PREFETCH = "Mozilla/5.0"
_USER_AGENTS = {
    "image_proxy": re.compile(r"GoogleImageProxy|YahooMailProxy|ggpht\.com", re.IGNORECASE),
    "scanner": re.compile(
        r"Barracuda|Mimecast|Proofpoint|SafeLinks|Symantec|FireEye|TrendMicro|Sophos|IronPort"
        r"|Forcepoint|MessageLabs|Cyren|ZScaler",
        re.IGNORECASE,
    ),
    "script": re.compile(
        # Cubot is a brand of phones.
        r"\b((?!cubot)\w*(?:bot|crawler|spider)|curl|wget|python-requests|python-urllib|aiohttp|httpx|okhttp|"
        r"Go-http-client|libwww-perl|Java/|HeadlessChrome|PhantomJS|axios|node-fetch)\b",
        re.IGNORECASE,
    ),
}


_PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_PREFETCH = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)


def classify(user_agent: str, bot_signals: Iterable[str] = ()) -> Verdict:
    """The verdict on one hit, from its user agent and other signals of a machine."""
    agent = user_agent.strip()
    reasons = tuple(bot_signals)
    if agent == _APPLE_PREFETCH:
        reasons += ("apple_prefetch",)
    reasons += tuple(name for name, pattern in _USER_AGENTS.items() if pattern.search(agent))
    if reasons:
        return Verdict("machine", reasons)
    return Verdict("human", ()) if agent else Verdict("unknown", ("no_user_agent",))


def signals_in_request(method: str, headers: Mapping[str, str]) -> list[str]:
    """The signals of a machine in a request, besides its user agent.

    Browsers mark a prefetch with `Sec-Purpose` (Fetch Standard); the other headers are older.
    """
    signals = ["head_request"] if method == "HEAD" else []
    if any(_PREFETCH.search(headers.get(name, "")) for name in _PREFETCH_HEADERS):
        signals.append("prefetch")
    return signals
