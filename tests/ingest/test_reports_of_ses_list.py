"""Reports that SES's own list held an address, around the removal of its suppression."""

from datetime import UTC, datetime, timedelta

import pytest

from contacts.models import SesRemoval
from tests.database import suppressions

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESS = "recipient@example.com"


@pytest.fixture
def report(sample, make_email, ingest_events):
    """SES reports that it dropped an email sent at this time, as a bounce or a complaint."""

    def report(sent_at, *, kind="bounce", subtype="OnAccountSuppressionList"):
        make_email(to=[ADDRESS], sent_at=sent_at)
        event = sample("bounce_permanent_general" if kind == "bounce" else "complaint_abuse")
        event["mail"]["timestamp"] = sent_at.isoformat()
        event[kind] |= {
            "bounceSubType": subtype,
            "complaintSubType": subtype,
            "timestamp": (sent_at + timedelta(seconds=1)).isoformat(),
        }
        field = "bouncedRecipients" if kind == "bounce" else "complainedRecipients"
        event[kind][field] = [{"emailAddress": ADDRESS}]
        ingest_events(event)

    return report


@pytest.fixture
def removal(workspace):
    """The suppression was removed; SES did so at this time, or hasn't yet."""

    def removal(removed_at=None, *, email=ADDRESS, region="us-east-1", workspace=workspace):
        SesRemoval.objects.create(
            workspace=workspace, email=email, region=region, removed_at=removed_at
        )

    return removal


@pytest.mark.parametrize("kind", ["bounce", "complaint"])
def test_a_report_about_earlier_mail_does_not_suppress_again(report, removal, kind):
    removal(NOON)
    report(NOON - timedelta(minutes=1), kind=kind)
    assert not suppressions()


@pytest.mark.parametrize("kind", ["bounce", "complaint"])
def test_a_report_before_ses_removed_it_does_not_suppress_again(report, removal, kind):
    removal()
    report(NOON, kind=kind)
    assert not suppressions()


@pytest.mark.parametrize("kind", ["bounce", "complaint"])
@pytest.mark.parametrize(
    "subtype",
    ["ON_ACCOUNT_SUPPRESSION_LIST", "onaccountsuppressionlist ", "On Account Suppression-List"],
)
def test_the_subtype_is_compared_without_case_and_punctuation(report, removal, kind, subtype):
    removal(NOON)
    report(NOON - timedelta(minutes=1), kind=kind, subtype=subtype)
    assert not suppressions()


def test_a_report_about_later_mail_suppresses(report, removal):
    removal(NOON)
    report(NOON + timedelta(minutes=1))
    assert suppressions() == {ADDRESS: "bounce"}


def test_one_region_that_still_holds_it_is_enough(report, removal):
    removal(NOON)
    removal(region="eu-west-1")
    report(NOON + timedelta(minutes=1))
    assert not suppressions()


def test_without_a_removal_the_report_suppresses(report, removal, db):
    from accounts.services import create_workspace

    removal(NOON, email="other@example.com")
    removal(NOON, workspace=create_workspace(name="Other"))
    report(NOON - timedelta(minutes=1))
    assert suppressions() == {ADDRESS: "bounce"}


def test_a_real_bounce_suppresses_whatever_was_removed(report, removal):
    removal(NOON)
    report(NOON - timedelta(minutes=1), subtype="General")
    assert suppressions() == {ADDRESS: "bounce"}
