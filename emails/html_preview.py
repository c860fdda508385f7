"""Other people's HTML, shown to operators without letting it do anything."""

_NOTHING = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def preview(html: str, images: bool) -> str:
    """The document for the `srcdoc` of a frame with `sandbox=""`; the template escapes it.

    The policy comes before all that the mail says, and policies only ever add up: no script, no
    form and, unless `images`, nothing from elsewhere (HTML Standard, "http-equiv", Content
    security policy state).
    """
    sources = "data: https: http:" if images else "data:"
    return (
        "<!doctype html><html><head>"
        f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING}; img-src {sources}">'
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        '<meta name="referrer" content="no-referrer"><meta charset="utf-8">'
        f"</head><body>{html}"
    )
