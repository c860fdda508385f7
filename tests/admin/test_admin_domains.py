"""Operators set what a domain's mail is tracked for and who takes it; customers are told."""

from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from domains.models import Domain
from events.models import Event

pytestmark = pytest.mark.django_db
SETTINGS = {"provider", "open_tracking", "click_tracking"}


class Inputs(HTMLParser):
    """What a browser sends of a page if nobody touches it: the fields of its forms."""

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
def opened(operator, address):
    """The fields of the domain's page, as they are when it is opened."""
    sent = Inputs(operator.get(address).content.decode()).sent
    names = {name for each in SETTINGS for name in (each, f"initial-{each}")}
    return {name: sent[name] for name in names if name in sent}


def kept():
    return Domain.objects.values(*SETTINGS).get()


def told():
    return [event.data() for event in Event.objects.filter(type="domain.updated")]


def test_what_is_set_on_the_page_holds_and_is_told(operator, address, opened, settings):
    settings.SMTP_URL = "smtps://relay.example.com"
    form = opened | {"provider": "smtp", "open_tracking": "on"}
    assert operator.post(address, form).status_code == 302
    assert kept() == {"provider": "smtp", "open_tracking": True, "click_tracking": False}
    (data,) = told()
    assert sorted(data["changed_fields"]) == ["open_tracking", "provider"]
    page = operator.get(address).content.decode()
    assert Inputs(page).sent["provider"] == "smtp"
    assert "the SMTP relay" in page


def test_saving_a_page_as_it_was_opened_changes_nothing(operator, address, domain):
    Domain.objects.update(open_tracking=True, provider="smtp")
    form = Inputs(operator.get(address).content.decode()).sent
    assert operator.post(address, form).status_code == 302
    assert kept() == {"provider": "smtp", "open_tracking": True, "click_tracking": False}
    assert told() == []


def test_a_page_that_was_open_for_long_takes_back_nothing(operator, address, opened):
    Domain.objects.update(open_tracking=True, provider="ses", sending=False)
    assert operator.post(address, opened | {"click_tracking": "on"}).status_code == 302
    assert kept() == {"provider": "ses", "open_tracking": True, "click_tracking": True}
    assert not Domain.objects.get().sending
    assert [data["changed_fields"] for data in told()] == [["click_tracking"]]


def test_a_relay_that_is_not_there_cannot_be_chosen(operator, address, opened):
    shown = operator.post(address, opened | {"provider": "smtp"})
    assert shown.status_code == 200
    assert "SMTP_URL" in str(shown.context["adminform"].form.errors["provider"])
    assert (kept()["provider"], told()) == ("", [])


def test_nothing_else_of_a_domain_is_set_by_hand(operator, address, opened, domain):
    form = opened | {"name": "other.example", "status": "failed", "region": "eu-west-1"}
    assert operator.post(address, form | {"open_tracking": "on"}).status_code == 302
    after = Domain.objects.get()
    assert (after.name, after.status, after.region) == ("example.com", "verified", "us-east-1")


def test_a_domain_that_is_being_removed_is_only_looked_at(operator, address, opened):
    Domain.objects.update(deleted_at=timezone.now())
    assert operator.get(address).status_code == 200
    assert operator.post(address, opened | {"open_tracking": "on"}).status_code == 403
    assert not kept()["open_tracking"]


def test_who_may_only_look_reads_them_in_words(clerk, address, opened):
    clerk_user = User.objects.get(username="clerk")
    clerk_user.user_permissions.add(Permission.objects.get(codename="view_domain"))
    page = clerk.get(address).content.decode()
    assert "installation default" in page
    assert 'name="provider"' not in page
    assert clerk.post(address, opened | {"open_tracking": "on"}).status_code == 403
    assert not kept()["open_tracking"]
