"""Operators change a domain's tracking and provider; the change is published."""

from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from domains.models import Domain
from tests.database import published_data

pytestmark = pytest.mark.django_db
SETTINGS = {"provider", "open_tracking", "click_tracking"}


class Inputs(HTMLParser):
    """The form fields that a browser submits for an unchanged page."""

    def __init__(self, page):
        super().__init__()
        self.sent, self.select = {}, ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "input" and given.get("type") == "checkbox":
            if "checked" in given:
                self.sent[given["name"]] = "on"
        elif tag == "input" and "name" in given:
            self.sent[given["name"]] = given.get("value", "")
        elif tag == "select":
            self.select = given.get("name", "")
        elif tag == "option" and "selected" in given:
            self.sent[self.select] = given["value"]


@pytest.fixture
def address(domain):
    return reverse("admin:domains_domain_change", args=[domain.pk])


@pytest.fixture
def form(operator, address):
    """The form fields of the domain's page as initially loaded."""
    sent = Inputs(operator.get(address).content.decode()).sent
    names = {name for each in SETTINGS for name in (each, f"initial-{each}")}
    return {name: sent[name] for name in names if name in sent}


def stored():
    return Domain.objects.values(*SETTINGS).get()


def test_changes_are_saved_and_published(operator, address, form, settings):
    settings.SMTP_URL = "smtps://relay.example.com"
    changed = form | {"provider": "smtp", "open_tracking": "on"}
    assert operator.post(address, changed).status_code == 302
    assert stored() == {"provider": "smtp", "open_tracking": True, "click_tracking": False}
    (data,) = published_data("domain.updated")
    assert sorted(data["changed_fields"]) == ["open_tracking", "provider"]
    page = operator.get(address).content.decode()
    assert Inputs(page).sent["provider"] == "smtp"
    assert "the SMTP relay" in page


def test_saving_an_unchanged_page_changes_nothing(operator, address, domain):
    Domain.objects.update(open_tracking=True, provider="smtp")
    form = Inputs(operator.get(address).content.decode()).sent
    assert operator.post(address, form).status_code == 302
    assert stored() == {"provider": "smtp", "open_tracking": True, "click_tracking": False}
    assert published_data("domain.updated") == []


def test_saving_a_stale_page_reverts_nothing(operator, address, form):
    Domain.objects.update(open_tracking=True, provider="ses", sending=False)
    assert operator.post(address, form | {"click_tracking": "on"}).status_code == 302
    assert stored() == {"provider": "ses", "open_tracking": True, "click_tracking": True}
    assert not Domain.objects.get().sending
    assert [data["changed_fields"] for data in published_data("domain.updated")] == [
        ["click_tracking"]
    ]


def test_an_unconfigured_relay_cannot_be_chosen(operator, address, form):
    shown = operator.post(address, form | {"provider": "smtp"})
    assert shown.status_code == 200
    assert "SMTP_URL" in str(shown.context["adminform"].form.errors["provider"])
    assert (stored()["provider"], published_data("domain.updated")) == ("", [])


def test_other_fields_of_a_domain_are_read_only(operator, address, form, domain):
    changed = form | {"name": "other.example", "status": "failed", "region": "eu-west-1"}
    assert operator.post(address, changed | {"open_tracking": "on"}).status_code == 302
    after = Domain.objects.get()
    assert (after.name, after.status, after.region) == ("example.com", "verified", "us-east-1")


def test_a_domain_being_deleted_is_read_only(operator, address, form):
    Domain.objects.update(deleted_at=timezone.now())
    assert operator.get(address).status_code == 200
    assert operator.post(address, form | {"open_tracking": "on"}).status_code == 403
    assert not stored()["open_tracking"]


def test_view_only_staff_see_the_settings_as_text(clerk, address, form):
    clerk_user = User.objects.get(username="clerk")
    clerk_user.user_permissions.add(Permission.objects.get(codename="view_domain"))
    page = clerk.get(address).content.decode()
    assert "installation default" in page
    assert 'name="provider"' not in page
    assert clerk.post(address, form | {"open_tracking": "on"}).status_code == 403
    assert not stored()["open_tracking"]
