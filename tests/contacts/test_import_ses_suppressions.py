"""`manage.py import_ses_suppressions` copies SES's own suppression list."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.services import create_workspace
from contacts import ses_import
from contacts.models import SesRemoval, Suppression
from domains.models import Domain
from tests.database import published, suppressions

pytestmark = pytest.mark.django_db
LIST = "ListSuppressedDestinations"


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses between calls, which take no time here."""
    taken = []
    monkeypatch.setattr(ses_import.time, "sleep", taken.append)
    return taken


def run(*arguments):
    out = StringIO()
    call_command("import_ses_suppressions", *arguments, "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_list_is_imported_once(workspace, ses_list):
    ses_list.put("Bob@example.net")
    ses_list.put("ann@example.net", reason="COMPLAINT")
    ses_list.put("success@simulator.amazonses.com")
    assert run() == [
        {"region": "us-east-1", "listed": 3, "added": 2, "invalid": 1, "being_removed": 0}
    ]
    assert suppressions() == {"bob@example.net": "bounce", "ann@example.net": "complaint"}
    before = list(Suppression.objects.order_by("pk").values())
    assert run()[0]["added"] == 0
    assert list(Suppression.objects.order_by("pk").values()) == before
    assert len(published("suppression.added")) == 2


def test_it_goes_through_all_pages_slowly(workspace, ses_list, pauses, monkeypatch):
    monkeypatch.setattr("contacts.ses_list.PAGE_SIZE", 2)
    emails = [f"r{number}@example.net" for number in range(5)]
    ses_list.put(*emails)
    assert run()[0]["added"] == 5
    assert pauses == [ses_import.PAUSE_SECONDS] * 2


def test_all_regions_that_send_are_imported_or_those_given(workspace, ses_list):
    Domain.objects.create(workspace=workspace, name="a.example", region="eu-west-1")
    ses_list.put("a@example.net")
    ses_list.put("b@example.net", region="eu-west-1")
    ses_list.put("c@example.net", region="eu-north-1")
    assert [row["region"] for row in run()] == ["eu-west-1", "us-east-1"]
    assert suppressions().keys() == {"a@example.net", "b@example.net"}
    assert run("--region", "eu-north-1")[0]["added"] == 1
    with pytest.raises(CommandError, match="eu-nowhere-1"):
        run("--region", "eu-nowhere-1")


def test_an_installation_without_ses_needs_a_region(workspace, ses_list, settings):
    settings.EMAIL_PROVIDER = "smtp"
    with pytest.raises(CommandError, match="--region"):
        run()
    assert run("--region", "us-east-1")[0]["listed"] == 0


def test_one_of_several_workspaces_must_be_named(workspace, ses_list):
    other = create_workspace(name="Other")
    ses_list.put("bob@example.net")
    with pytest.raises(CommandError, match="2 workspaces"):
        run()
    assert not Suppression.objects.exists()
    assert run("--workspace", "Other")[0]["added"] == 1
    assert Suppression.objects.get().workspace == other
    assert run("--workspace", str(workspace.pk))[0]["added"] == 1
    assert run("--all-workspaces")[0]["added"] == 0
    for name, problem in [("Nobody", "no workspace"), (str(Domain().pk), "no workspace")]:
        with pytest.raises(CommandError, match=f"(?i){problem}"):
            run("--workspace", name)
    create_workspace(name="Other")
    with pytest.raises(CommandError, match="2 workspaces are called"):
        run("--workspace", "Other")


def test_an_address_on_its_way_off_the_list_is_left_alone(workspace, ses_list):
    SesRemoval.objects.create(workspace=workspace, email="bob@example.net", region="us-east-1")
    ses_list.put("bob@example.net", "ann@example.net")
    assert run()[0] == {
        "region": "us-east-1",
        "listed": 2,
        "added": 1,
        "invalid": 0,
        "being_removed": 1,
    }
    assert suppressions().keys() == {"ann@example.net"}


def test_throttling_is_waited_for(workspace, twin, ses_list, pauses, monkeypatch):
    ses_list.put("bob@example.net")
    twin.fail(**{LIST: "TooManyRequestsException"})
    monkeypatch.setattr(
        ses_import.time,
        "sleep",
        lambda seconds: (pauses.append(seconds), len(pauses) == 3 and twin.heal()),
    )
    assert run()[0]["added"] == 1
    assert pauses == [1, 2, 4]


def test_a_failure_keeps_what_was_added(workspace, ses_list, monkeypatch):
    monkeypatch.setattr("contacts.ses_list.PAGE_SIZE", 2)
    ses_list.put(*(f"r{number}@example.net" for number in range(5)))
    read_page = ses_import.ses_list.read_page

    def fails_after_first_page(region, token=""):
        if token:
            raise ses_import.ses_list.ListUnavailable("AccessDenied")
        return read_page(region, token)

    monkeypatch.setattr(ses_import.ses_list, "read_page", fails_after_first_page)
    with pytest.raises(CommandError, match=r"2 suppressions were added before .* AccessDenied"):
        run()
    monkeypatch.setattr(ses_import.ses_list, "read_page", read_page)
    assert run()[0]["added"] == 3


def test_the_output_is_readable(workspace, ses_list):
    ses_list.put("bob@example.net")
    out = StringIO()
    call_command("import_ses_suppressions", stdout=out)
    assert out.getvalue() == (
        "us-east-1: 1 addresses on SES's list, 1 suppressions added, 0 skipped because SES is to"
        " remove them, 0 invalid.\n"
    )
