"""The account-level suppression list of the twin, and mail to the addresses on it."""

import pytest
from botocore.exceptions import ClientError

from tests.twin.twin_running import send_raw


def put(ses, *addresses, reason="BOUNCE"):
    for address in addresses:
        ses.put_suppressed_destination(EmailAddress=address, Reason=reason)


def listed(ses, **filters):
    answer = ses.list_suppressed_destinations(**filters)
    return {row["EmailAddress"]: row["Reason"] for row in answer["SuppressedDestinationSummaries"]}


def code(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def test_an_address_is_put_found_and_deleted(ses):
    put(ses, "Bob+x@example.net", reason="COMPLAINT")
    found = ses.get_suppressed_destination(EmailAddress="bob+x@EXAMPLE.net")[
        "SuppressedDestination"
    ]
    assert (found["EmailAddress"], found["Reason"]) == ("bob+x@example.net", "COMPLAINT")
    assert found["LastUpdateTime"].tzinfo

    ses.delete_suppressed_destination(EmailAddress="bob+x@example.net")
    for call in (ses.get_suppressed_destination, ses.delete_suppressed_destination):
        assert code(call, EmailAddress="bob+x@example.net") == "NotFoundException"


def test_what_is_no_address_or_reason_is_refused(ses):
    for parameters in ({"EmailAddress": "x", "Reason": "BOUNCE"}, {"EmailAddress": "a@b.c"}):
        call = ses.put_suppressed_destination
        assert code(call, **{"Reason": "OTHER", **parameters}) == "BadRequestException"


def test_the_list_has_pages_and_filters(ses, connect, twin):
    put(ses, "a@example.net", "b@example.net")
    put(ses, "c@example.net", reason="COMPLAINT")
    put(connect(twin, "sesv2", region="eu-west-1"), "d@example.net")
    assert list(listed(ses)) == ["a@example.net", "b@example.net", "c@example.net"]
    assert list(listed(ses, Reasons=["COMPLAINT"])) == ["c@example.net"]
    assert len(listed(ses, Reasons=["COMPLAINT", "BOUNCE"])) == 3
    at = ses.get_suppressed_destination(EmailAddress="b@example.net")
    at = at["SuppressedDestination"]["LastUpdateTime"]
    assert "c@example.net" in listed(ses, StartDate=at)
    assert "c@example.net" not in listed(ses, EndDate=at)

    first = ses.list_suppressed_destinations(PageSize=2)
    second = ses.list_suppressed_destinations(PageSize=2, NextToken=first["NextToken"])
    assert len(second["SuppressedDestinationSummaries"]) == 1
    assert "NextToken" not in second


def test_mail_to_a_listed_address_is_accepted_and_bounces(publishing, verified):
    put(verified, "bob@example.net")
    put(verified, "ann@example.net", reason="COMPLAINT")
    send_raw(verified, to=["Bob <BOB@example.net>", "ann@example.net", "c@example.net"])
    events = {each["eventType"]: each for each in publishing.events(4)}
    bounce = events["Bounce"]["bounce"]
    assert (bounce["bounceType"], bounce["bounceSubType"]) == (
        "Permanent",
        "OnAccountSuppressionList",
    )
    assert [each["emailAddress"] for each in bounce["bouncedRecipients"]] == ["BOB@example.net"]
    complaint = events["Complaint"]["complaint"]
    assert complaint["complaintSubType"] == "OnAccountSuppressionList"
    assert complaint["complainedRecipients"] == [{"emailAddress": "ann@example.net"}]
    assert events["Delivery"]["delivery"]["recipients"] == ["c@example.net"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("x@bounce.twin.test", "BOUNCE"),
        ("x@complaint.twin.test", "COMPLAINT"),
        ("x@softbounce.twin.test", None),
        ("bounce@simulator.amazonses.com", None),
        ("x@example.net", None),
    ],
)
def test_who_bounces_or_complains_is_listed(publishing, verified, address, reason):
    send_raw(verified, to=address)
    assert listed(verified).get(address) == reason


def test_the_list_survives_a_restart(start_twin, connect, tmp_path):
    twin = start_twin(tmp_path)
    put(connect(twin, "sesv2"), "a@example.net")
    twin.stop()
    assert list(listed(connect(start_twin(tmp_path), "sesv2"))) == ["a@example.net"]
