"""Whether an open or a click was a person's: what mail scanners and image proxies look like."""

import re
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


def judge(user_agent: str) -> Verdict:
    """A verdict on one hit by what its client says of itself."""
    agent = user_agent.strip()
    if not agent:
        return Verdict("unknown", ("no_user_agent",))
    if agent == _APPLE_PREFETCH:
        return Verdict("machine", ("apple_prefetch",))
    reasons = tuple(name for name, mark in _MARKS.items() if mark.search(agent))
    return Verdict("machine", reasons) if reasons else Verdict("human", ())
