"""HTTP requests to customer-supplied URLs, protected against SSRF."""

from core.outbound.addresses import UnsafeAddress, is_public, why_unsafe
from core.outbound.client import OutboundClient, fetch
from core.outbound.outcome import Outcome
from core.outbound.policy import OutboundPolicy
from core.outbound.urls import ParsedUrl, UnsafeUrl, check_url

__all__ = [
    "OutboundClient",
    "OutboundPolicy",
    "Outcome",
    "ParsedUrl",
    "UnsafeAddress",
    "UnsafeUrl",
    "check_url",
    "fetch",
    "is_public",
    "why_unsafe",
]
