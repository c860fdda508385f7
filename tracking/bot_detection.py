"""Whether an open or a click was a person's: what mail scanners and image proxies look like."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Verdict(NamedTuple):
    kind: str  # human, machine or unknown
    reasons: tuple[str, ...]

    @property
    def is_machine(self) -> bool:
        return self.kind == "machine"


# Apple's Mail Privacy Protection announces itself with this and nothing after it.
_APPLE_PREFETCH = "Mozilla/5.0"
_MARKS = {
    "image_proxy": re.compile(r"GoogleImageProxy|YahooMailProxy|ggpht\.com", re.IGNORECASE),
    "scanner": re.compile(
        r"Barracuda|Mimecast|Proofpoint|SafeLinks|Symantec|FireEye|TrendMicro|Sophos|IronPort"
        r"|Forcepoint|MessageLabs|Cyren|ZScaler",
        re.IGNORECASE,
    ),
    "script": re.compile(
        # Cubot makes telephones.
        r"\b((?!cubot)\w*(?:bot|crawler|spider)|curl|wget|python-requests|python-urllib|aiohttp|httpx|okhttp|"
        r"Go-http-client|libwww-perl|Java/|HeadlessChrome|PhantomJS|axios|node-fetch)\b",
        re.IGNORECASE,
    ),
}


_PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_AHEAD = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)


def classify(user_agent: str, signs: Iterable[str] = ()) -> Verdict:
    """A verdict on one hit by what its client says of itself, and other signs of a machine."""
    agent = user_agent.strip()
    reasons = tuple(signs)
    if agent == _APPLE_PREFETCH:
        reasons += ("apple_prefetch",)
    reasons += tuple(name for name, mark in _MARKS.items() if mark.search(agent))
    if reasons:
        return Verdict("machine", reasons)
    return Verdict("human", ()) if agent else Verdict("unknown", ("no_user_agent",))


def signs_in(method: str, headers: Mapping[str, str]) -> list[str]:
    """What a request shows of being a machine's, besides its user agent.

    A browser that loads ahead says so (Fetch Standard, `Sec-Purpose`; the others are older).
    """
    signs = ["head_request"] if method == "HEAD" else []
    if any(_AHEAD.search(headers.get(name, "")) for name in _PREFETCH_HEADERS):
        signs.append("prefetch")
    return signs
