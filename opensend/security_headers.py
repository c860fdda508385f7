"""Content-Security-Policy and Permissions-Policy of every response.

The shape of SECURE_CSP is Django 6's; django-csp sends it on Django 5.2.
"""

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from csp.utils import build_policy
from django.http import HttpRequest
from django.http.response import HttpResponseBase

Policy = dict[str, list[str]]

_HEADER = "Content-Security-Policy"

# Answers of the API, redirects, pictures: nothing in them may load or run anything.
SECURE_CSP: Policy = {
    "default-src": [NONE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}
_PAGE: Policy = {
    **SECURE_CSP,
    "script-src": [SELF],
    # Style attributes: of the admin's theme, of Swagger UI, and of the mail in a preview, whose
    # frame inherits the policy of its page.
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    # A link in a mail's preview must not load a page into its frame.
    "frame-src": [NONE],
    "form-action": [SELF],
}
# Alpine.js, which draws the theme's menus, evaluates its attributes with new Function().
ADMIN_CSP: Policy = {**_PAGE, "script-src": [SELF, UNSAFE_EVAL]}
DOCS_CSP: Policy = _PAGE

_PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "camera",
        "display-capture",
        "geolocation",
        "microphone",
        "payment",
        "publickey-credentials-get",
        "usb",
    )
)


class SecurityHeadersMiddleware(CSPMiddleware):
    """SECURE_CSP, unless the response has a policy, the view has one, or it is the admin's."""

    def process_request(self, request: HttpRequest) -> None:
        """No nonce: no page uses one, and it would tie the request into a reference cycle."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS)
        if _is_admin(request) or any(name.startswith("_csp_") for name in vars(response)):
            response = super().process_response(request, response)
            vars(request).pop("csp_nonce", None)  # raises when anything looks at it
            return response
        # Built once: most responses are the API's.
        response.headers.setdefault(_HEADER, _STRICT)
        return response

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if parts.config is None and not report_only and _is_admin(request):
            parts.config = ADMIN_CSP
        return parts


def _is_admin(request: HttpRequest) -> bool:
    match: Any = request.resolver_match
    return match is not None and match.namespace == "admin"


_STRICT = build_policy(config=SECURE_CSP)
