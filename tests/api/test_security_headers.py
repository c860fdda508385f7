"""Every response says what a browser may do with it."""

import re

import pytest
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

PAGES = ["/admin/login/", "/docs"]
ANSWERS = ["/emails", "/healthz", "/readyz", "/metrics", "/openapi.json", "/nothing", "/t/o/x", "/"]


def policy(response):
    """Directives by name."""
    parts = [part.split() for part in response["Content-Security-Policy"].split(";")]
    return {name: values for name, *values in parts}


@pytest.fixture
def operator(admin_client):
    return admin_client


@pytest.fixture
def addresses(operator, workspace, domain):
    changes = [reverse("admin:domains_domain_change", args=[domain.pk])]
    return [
        "/admin/",
        "/admin/password_change/",
        "/admin/emails/email/",
        *changes,
        "/admin/nothing/",
    ]


@pytest.mark.parametrize("path", ANSWERS)
def test_what_is_no_page_may_load_and_do_nothing(path):
    response = Client().get(path)
    assert policy(response)["default-src"] == ["'none'"]
    assert policy(response)["frame-ancestors"] == ["'none'"]
    assert "script-src" not in policy(response)


@pytest.mark.parametrize("path", [*ANSWERS, *PAGES, "/t/u/nothing"])
def test_every_response_has_the_common_headers(path):
    response = Client().get(path)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] in {"same-origin", "no-referrer"}
    assert "camera=()" in response["Permissions-Policy"]
    assert policy(response)["frame-ancestors"] == ["'none'"]


def test_the_admin_runs_its_own_scripts_only(operator, addresses):
    for path in addresses:
        directives = policy(operator.get(path))
        assert directives["script-src"] == ["'self'", "'unsafe-eval'"], path
        assert directives["default-src"] == directives["base-uri"] == ["'none'"]
        assert directives["form-action"] == directives["connect-src"] == ["'self'"]


def test_no_page_has_a_script_or_handler_inside(operator, addresses):
    for path in [*PAGES, *addresses]:
        source = operator.get(path).content.decode()
        assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", source), path
        assert not re.findall(r"<[^>]+\son(?:click|load|error|submit|change)=", source), path
        assert "javascript:" not in source


def test_the_documentation_runs_no_inline_script():
    client = Client()
    assert policy(client.get("/docs"))["script-src"] == ["'self'"]
    script = re.search(r'<script src="(/docs\?[^"]+)"', client.get("/docs").content.decode())
    answer = client.get(script.group(1).replace("&amp;", "&"))
    assert answer["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in answer.content.decode()


def test_the_unsubscribe_page_keeps_its_stricter_policy():
    directives = policy(Client().get("/t/u/nothing"))
    assert directives["default-src"] == ["'none'"]
    assert "script-src" not in directives


def test_remote_images_are_allowed_in_a_preview_on_request_only(operator, workspace):
    from emails.models import Email

    email = Email.objects.create(
        workspace=workspace,
        sender="ada@example.com",
        to=["bob@example.org"],
        html="<img src='https://example.org/a.png'>",
        region="us-east-1",
        message_id="<1@example.com>",
        status="delivered",
        next_attempt_at=None,
    )
    address = reverse("admin:emails_email_change", args=[email.pk])
    assert policy(operator.get(address))["img-src"] == ["'self'", "data:"]
    shown = policy(operator.get(address + "?images=1"))
    assert shown["img-src"] == ["'self'", "data:", "https:", "http:"]
    assert shown["script-src"] == ["'self'", "'unsafe-eval'"]


def test_hsts_is_sent_over_tls_only(settings):
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    client = Client()  # made now: the middleware reads the setting once
    assert "Strict-Transport-Security" not in client.get("/healthz")
    secure = client.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert secure["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test/",
        "///evil.test/",
        "/\\evil.test/",
        "\\\\evil.test/",
        "http:evil.test",
        "https://testserver@evil.test/",
        "javascript:alert(1)",
        "\x00//evil.test",
        "",
    ],
)
def test_a_login_leads_nowhere_else(target, db):
    from django.contrib.auth.models import User

    User.objects.create_superuser("op", password="a pass phrase")
    form = {"username": "op", "password": "a pass phrase", "next": target}
    answer = Client().post("/admin/login/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_a_login_leads_to_the_page_that_was_asked_for(db):
    from django.contrib.auth.models import User

    User.objects.create_superuser("op", password="a pass phrase")
    asked = Client().get("/admin/emails/email/?q=x")
    assert asked["Location"] == "/admin/login/?next=/admin/emails/email/%3Fq%3Dx"
    form = {"username": "op", "password": "a pass phrase", "next": "/admin/emails/email/?q=x"}
    assert Client().post("/admin/login/", form)["Location"] == "/admin/emails/email/?q=x"
