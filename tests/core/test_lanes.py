"""Which requests of the product share threads."""

import pytest

from opensend.asgi import lane_of


@pytest.mark.parametrize(
    ("request_", "lane"),
    [
        ("POST /emails", "api"),
        ("GET /events/ses", "api"),
        ("GET /admin/login/", "api"),
        ("GET /openapi.json", "api"),
        ("POST /events/ses", "callbacks"),
        ("POST /api/events/ses", "callbacks"),
        ("POST /webhooks/ses", "callbacks"),
        ("POST /api/webhooks/ses", "callbacks"),
        ("POST /suppressions/import", "files"),
        ("GET /api/suppressions/export", "files"),
        ("GET /readyz", "operations"),
        ("GET /metrics", "operations"),
        # While the database is unavailable, each page waits for it and links must not.
        ("GET /t/c/x", "links"),
        ("GET /t/o/x.gif", "links"),
        ("GET /t/u/x", "pages"),
        ("POST /t/u/x", "pages"),
    ],
)
def test_each_kind_has_its_own(request_, lane):
    assert lane_of(*request_.split()).name == lane
