"""Renders untrusted HTML for operators without executing or loading anything."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def preview(html: str, images: bool) -> str:
    """The document for the `srcdoc` of a frame with `sandbox=""`; the template escapes it.

    The policy precedes the email's HTML, and later policies can only restrict it further: no
    scripts, no forms and, unless `images`, no remote content (HTML Standard, "http-equiv",
    Content security policy state).
    """
    sources = "data: https: http:" if images else "data:"
    return (
        "<!doctype html><html><head>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}; img-src {sources}">'
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        '<meta name="referrer" content="no-referrer"><meta charset="utf-8">'
        f"</head><body>{html}"
    )
