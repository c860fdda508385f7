"""Identities and configuration sets as SES v2 has them."""

import pytest


def test_a_domain_is_pending_at_first_and_verified_at_the_first_look(ses):
    created = ses.create_email_identity(EmailIdentity="Example.com")
    assert created["IdentityType"] == "DOMAIN"
    assert created["VerifiedForSendingStatus"] is False
    assert created["DkimAttributes"]["Status"] == "PENDING"
    assert len(set(created["DkimAttributes"]["Tokens"])) == 3

    found = ses.get_email_identity(EmailIdentity="example.com")
    assert found["VerifiedForSendingStatus"] is True
    assert (found["VerificationStatus"], found["DkimAttributes"]["Status"]) == (
        "SUCCESS",
        "SUCCESS",
    )
    assert found["DkimAttributes"]["Tokens"] == created["DkimAttributes"]["Tokens"]
    assert found["DkimAttributes"]["SigningHostedZone"] == "dkim.amazonses.com"
    assert found["VerificationInfo"]["LastSuccessTimestamp"].year >= 2024


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("pending.twin.test", "PENDING"),
        ("a.b.pending.twin.test", "PENDING"),
        ("failed.twin.test", "FAILED"),
        ("mail.failed.twin.test", "FAILED"),
    ],
)
def test_some_names_never_get_verified(ses, name, status):
    ses.create_email_identity(EmailIdentity=name)
    for _ in range(2):
        found = ses.get_email_identity(EmailIdentity=name)
        assert (found["VerificationStatus"], found["VerifiedForSendingStatus"]) == (status, False)
        assert found["VerificationInfo"]["ErrorType"] == "HOST_NOT_FOUND"


def test_an_identity_cannot_be_made_twice_nor_found_when_unknown(ses):
    ses.create_email_identity(EmailIdentity="ada@example.com")
    with pytest.raises(ses.exceptions.AlreadyExistsException):
        ses.create_email_identity(EmailIdentity="ada@example.com")

    ses.delete_email_identity(EmailIdentity="ada@example.com")
    for operation in (ses.get_email_identity, ses.delete_email_identity):
        with pytest.raises(ses.exceptions.NotFoundException):
            operation(EmailIdentity="ada@example.com")


@pytest.mark.parametrize("name", ["nodots", "a b.com", "ada@", "-x.com", "exämple.com"])
def test_a_name_that_is_no_domain_and_no_address_is_refused(ses, name):
    with pytest.raises(ses.exceptions.BadRequestException):
        ses.create_email_identity(EmailIdentity=name)


def test_regions_know_nothing_of_each_other(ses, twin, connect):
    elsewhere = connect(twin, "sesv2", region="eu-west-1")
    ses.create_email_identity(EmailIdentity="example.com")
    ses.create_configuration_set(ConfigurationSetName="mail")

    assert elsewhere.list_email_identities()["EmailIdentities"] == []
    assert elsewhere.list_configuration_sets()["ConfigurationSets"] == []
    elsewhere.create_email_identity(EmailIdentity="example.com")


def test_identities_are_listed_in_pages(ses):
    names = [f"d{number}.example.com" for number in range(5)]
    for name in names:
        ses.create_email_identity(EmailIdentity=name)

    first = ses.list_email_identities(PageSize=3)
    rest = ses.list_email_identities(PageSize=3, NextToken=first["NextToken"])
    assert "NextToken" not in rest
    found = first["EmailIdentities"] + rest["EmailIdentities"]
    assert [each["IdentityName"] for each in found] == names
    assert found[0]["VerificationStatus"] == "PENDING"


def test_a_mail_from_domain_is_a_subdomain_and_gets_verified(ses):
    ses.create_email_identity(EmailIdentity="example.com")
    for domain in ("other.com", "example.com", "notexample.com"):
        with pytest.raises(ses.exceptions.BadRequestException, match="not subdomain"):
            ses.put_email_identity_mail_from_attributes(
                EmailIdentity="example.com", MailFromDomain=domain
            )

    ses.put_email_identity_mail_from_attributes(
        EmailIdentity="example.com",
        MailFromDomain="bounce.example.com",
        BehaviorOnMxFailure="REJECT_MESSAGE",
    )
    assert ses.get_email_identity(EmailIdentity="example.com")["MailFromAttributes"] == {
        "MailFromDomain": "bounce.example.com",
        "MailFromDomainStatus": "SUCCESS",
        "BehaviorOnMxFailure": "REJECT_MESSAGE",
    }


def test_a_default_configuration_set_must_exist(ses):
    ses.create_email_identity(EmailIdentity="example.com")
    put = ses.put_email_identity_configuration_set_attributes
    with pytest.raises(ses.exceptions.NotFoundException):
        put(EmailIdentity="example.com", ConfigurationSetName="mail")

    ses.create_configuration_set(ConfigurationSetName="mail")
    put(EmailIdentity="example.com", ConfigurationSetName="mail")
    found = ses.get_email_identity(EmailIdentity="example.com")
    assert found["ConfigurationSetName"] == "mail"


def test_a_configuration_set_keeps_its_options(ses):
    ses.create_configuration_set(
        ConfigurationSetName="mail", DeliveryOptions={"TlsPolicy": "REQUIRE"}
    )
    found = ses.get_configuration_set(ConfigurationSetName="mail")
    assert found["DeliveryOptions"]["TlsPolicy"] == "REQUIRE"
    assert ses.list_configuration_sets()["ConfigurationSets"] == ["mail"]
    with pytest.raises(ses.exceptions.AlreadyExistsException):
        ses.create_configuration_set(ConfigurationSetName="mail")
    with pytest.raises(ses.exceptions.BadRequestException):
        ses.create_configuration_set(ConfigurationSetName="no blanks")

    ses.delete_configuration_set(ConfigurationSetName="mail")
    with pytest.raises(ses.exceptions.NotFoundException):
        ses.get_configuration_set(ConfigurationSetName="mail")


def test_an_event_destination_lives_from_validation_to_deletion(ses, topic, subscribed):
    ses.create_configuration_set(ConfigurationSetName="mail")
    where = {"ConfigurationSetName": "mail", "EventDestinationName": "sns"}
    what = {
        "Enabled": True,
        "MatchingEventTypes": ["SEND"],
        "SnsDestination": {"TopicArn": topic},
    }
    ses.create_configuration_set_event_destination(**where, EventDestination=what)

    validation = subscribed.next().json
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    assert validation["Message"] == text
    assert "Subject" not in validation
    with pytest.raises(ses.exceptions.AlreadyExistsException):
        ses.create_configuration_set_event_destination(**where, EventDestination=what)

    what |= {"Enabled": False, "MatchingEventTypes": ["BOUNCE", "COMPLAINT"]}
    ses.update_configuration_set_event_destination(**where, EventDestination=what)
    read = ses.get_configuration_set_event_destinations
    assert read(ConfigurationSetName="mail")["EventDestinations"] == [{"Name": "sns", **what}]

    ses.delete_configuration_set_event_destination(**where)
    assert read(ConfigurationSetName="mail")["EventDestinations"] == []
    with pytest.raises(ses.exceptions.NotFoundException):
        ses.delete_configuration_set_event_destination(**where)


def test_an_event_destination_needs_a_topic_of_its_region(ses, twin, connect):
    elsewhere = connect(twin, "sns", region="eu-west-1").create_topic(Name="events")["TopicArn"]
    ses.create_configuration_set(ConfigurationSetName="mail")
    for arn in (elsewhere, elsewhere.replace("eu-west-1", "us-east-1")):
        with pytest.raises(ses.exceptions.BadRequestException, match="does not exist"):
            ses.create_configuration_set_event_destination(
                ConfigurationSetName="mail",
                EventDestinationName="sns",
                EventDestination={
                    "MatchingEventTypes": ["SEND"],
                    "SnsDestination": {"TopicArn": arn},
                },
            )
