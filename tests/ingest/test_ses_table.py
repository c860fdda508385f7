"""Each documented SES event and its effects on all tables and webhooks."""

import pytest

from contacts.models import Contact
from emails.models import EmailEvent, EmailRecipient
from ingest.models import ProviderEvent
from tests.database import recipient_statuses, recorded_facts, suppressions

R, OTHER = "recipient@example.com", "other@example.com"
CLASSIFIED = {"machine": False}


def bounce(kind, subtype, code=None):
    data = {"type": kind, "subType": subtype, "message": code or f"{kind} bounce: {subtype}"}
    return data | ({"diagnosticCode": code} if code else {})


UNKNOWN_USER = "smtp; 550 5.1.1 user unknown"
FULL = "smtp; 552 5.2.2 mailbox is full"
LISTED = (
    "Amazon SES did not send the message to this address because it is on the suppression list "
    "for your account."
)

# sample: (event, recipient's status, suppression origin, the webhook's provider object)
EACH = {
    "delivery": ("delivered", "delivered", None, ("delivery", None)),
    "delivery_delay": ("delivery_delayed", "delivery_delayed", None, ("deliveryDelay", None)),
    "bounce_permanent_general": (
        *("bounced", "bounced", "bounce"),
        ("bounce", bounce("Permanent", "General", UNKNOWN_USER)),
    ),
    "bounce_permanent_no_email": (
        *("bounced", "bounced", "bounce"),
        ("bounce", bounce("Permanent", "NoEmail", UNKNOWN_USER)),
    ),
    **{
        f"bounce_permanent_{name}": (
            *("bounced", "bounced", origin),
            ("bounce", bounce("Permanent", subtype, LISTED)),
        )
        for name, subtype, origin in (
            ("suppressed", "Suppressed", "bounce"),
            ("on_account_suppression_list", "OnAccountSuppressionList", "bounce"),
            ("on_tenant_suppression_list", "OnTenantSuppressionList", "bounce"),
            ("email_validation_suppressed", "EmailValidationSuppressed", "bounce"),
            ("unsubscribed_recipient", "UnsubscribedRecipient", "unsubscribed"),
        )
    },
    **{
        f"bounce_transient_{name}": (
            *("bounced", "soft_bounced", None),
            ("bounce", bounce("Transient", subtype, FULL)),
        )
        for name, subtype in (
            ("mailbox_full", "MailboxFull"),
            ("message_too_large", "MessageTooLarge"),
            ("content_rejected", "ContentRejected"),
            ("attachment_rejected", "AttachmentRejected"),
            ("custom_timeout_exceeded", "CustomTimeoutExceeded"),
        )
    },
    "bounce_transient_general": (
        *("bounced", "soft_bounced", None),
        ("bounce", bounce("Transient", "General")),
    ),
    "bounce_undetermined": (
        *("bounced", "soft_bounced", None),
        ("bounce", bounce("Undetermined", "Undetermined")),
    ),
    "complaint_abuse": ("complained", "complained", "complaint", ("complaint", None)),
    "complaint_on_account_suppression_list": (
        *("complained", "complained", "complaint"),
        ("complaint", None),
    ),
    "notification_bounce": (
        *("bounced", "bounced", "bounce"),
        ("bounce", bounce("Permanent", "General", UNKNOWN_USER)),
    ),
    "notification_complaint": ("complained", "complained", "complaint", ("complaint", None)),
    "notification_delivery": ("delivered", "delivered", None, ("delivery", None)),
}


@pytest.mark.parametrize("name", EACH)
def test_an_event_about_one_recipient(name, sample, make_email, ingest_events, published):
    kind, status, origin, (key, expected) = EACH[name]
    event, email = sample(name), make_email()

    (row,) = ingest_events(event)

    assert (row.state, row.email_id) == ("processed", email.pk)
    assert recipient_statuses(email) == {R: status, OTHER: "sent"}
    assert recorded_facts(email) == [(kind, R, status)]
    assert EmailEvent.objects.get().payload == event[key]
    assert suppressions() == ({R: origin} if origin else {})
    ((_, data),) = published(f"email.{kind}")
    assert data[key] == (expected or event[key])
    assert data["recipient"] == R
    assert len(published("suppression.added")) == bool(origin)
    assert len(published()) == 1 + bool(origin)
    email.refresh_from_db()
    # The email has the furthest status of the recipients that did not fail.
    assert email.status == (status if status in ("delivered", "delivery_delayed") else "sent")


# sample: (event, status of all recipients and of the email, the webhook's provider objects)
ALL = {
    "send": ("sent", "sent", {"send": {}}),
    "reject": (
        *("failed", "failed"),
        {"reject": {"reason": "Bad content"}, "failed": {"reason": "Bad content"}},
    ),
    "rendering_failure": (
        *("failed", "failed"),
        {"failed": {"reason": "Attribute 'attributeName' is not present in the rendering data."}},
    ),
}
ALL["rendering_failure_in_one_word"] = ALL["rendering_failure"]


@pytest.mark.parametrize("name", ALL)
def test_an_event_about_all_recipients(name, sample, make_email, ingest_events, published):
    kind, status, expected = ALL[name]
    email = make_email()

    ingest_events(sample(name))

    assert recipient_statuses(email) == {R: status, OTHER: status}
    assert recorded_facts(email) == [(kind, "", status)]
    email.refresh_from_db()
    assert email.status == status
    ((found, data),) = published()
    assert found == f"email.{kind}"
    assert {key: data[key] for key in expected} == expected
    assert "recipient" not in data  # two recipients are affected
    assert not suppressions()


@pytest.mark.parametrize(
    ("name", "kind", "key"),
    [
        ("open", "opened", "open"),
        ("click", "clicked", "click"),
        ("click_without_link_tags", "clicked", "click"),
    ],
)
@pytest.mark.parametrize("to", [[R], [R, OTHER]])
def test_opens_and_clicks_change_no_status(
    name, kind, key, to, sample, make_email, ingest_events, published
):
    event, email = sample(name), make_email(to=to, status="delivered")

    ingest_events(event)

    assert set(recipient_statuses(email).values()) == {"delivered"}
    assert recorded_facts(email) == [(kind, "", "")]
    ((found, data),) = published()
    assert found == f"email.{kind}"
    assert data[key] == event[key] | CLASSIFIED
    assert data.get("recipient") == (R if to == [R] else None)


def test_an_image_proxy_is_classified_as_a_machine(sample, make_email, ingest_events, published):
    event = sample("open")
    event["open"]["userAgent"] = "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"
    make_email()

    ingest_events(event)

    ((_, data),) = published()
    assert data["open"]["machine"] is True


def test_a_not_spam_complaint_is_only_recorded(sample, make_email, ingest_events, published):
    email = make_email(status="delivered")

    ingest_events(sample("complaint_not_spam"))

    assert recipient_statuses(email) == {R: "delivered", OTHER: "delivered"}
    assert recorded_facts(email) == [("not_spam", R, "")]
    assert not suppressions()
    assert not published()
    assert not published("suppression.added")


def test_a_delayed_recipient_of_a_permanent_bounce_is_not_suppressed(
    sample, make_email, ingest_events
):
    email = make_email()

    ingest_events(sample("bounce_permanent_one_delayed"))

    assert recipient_statuses(email) == {R: "bounced", OTHER: "bounced"}
    assert suppressions() == {R: "bounce"}


def test_an_unsubscribe_creates_the_contact_and_changes_no_status(
    sample, make_email, ingest_events, published
):
    email = make_email()

    ingest_events(sample("subscription_unsubscribe_all"))
    ingest_events(sample("subscription_unsubscribe_all"))

    assert list(Contact.objects.values_list("email", "unsubscribed")) == [(R, True)]
    assert recipient_statuses(email) == {R: "sent", OTHER: "sent"}
    assert [kind for kind, _ in published()] == ["contact.created"]


def test_an_unsubscribe_updates_an_existing_contact(
    workspace, sample, make_email, ingest_events, published
):
    contact = Contact.objects.create(workspace=workspace, email=R.upper(), first_name="Rita")
    make_email()

    ingest_events(sample("subscription_unsubscribe_all"), sample("subscription_unsubscribe_all"))

    contact.refresh_from_db()
    assert contact.unsubscribed
    ((kind, data),) = published()
    assert kind == "contact.updated"
    assert data["changed_fields"] == ["unsubscribed"]
    assert (data["first_name"], data["email"]) == ("Rita", R.upper())


def test_unsubscribing_from_one_topic_does_not_unsubscribe_the_contact(
    sample, make_email, ingest_events, published
):
    make_email()

    (row,) = ingest_events(sample("subscription_one_topic"))

    assert row.state == ProviderEvent.State.PROCESSED
    assert not Contact.objects.exists()
    assert not published()


def test_webhooks_contain_the_whole_email(sample, make_email, ingest_events, published):
    email = make_email()

    ingest_events(sample("delivery"))

    ((_, data),) = published()
    assert data["email_id"] == str(email.pk)
    assert data["from"] == "Sender Name <sender@example.com>"
    assert data["to"] == [R, OTHER]
    assert data["subject"] == "Hello"
    assert data["tags"] == {"campaign": "spring"}
    assert data["message_id"] == email.message_id
    assert data["created_at"]


def test_the_time_comes_from_the_provider_object(sample, make_email, ingest_events):
    email = make_email()

    ingest_events(sample("delivery"), sample("send"))

    times = dict(EmailEvent.objects.values_list("type", "occurred_at"))
    assert times["delivered"].isoformat() == "2017-08-05T00:41:02.669000+00:00"
    assert times["sent"].isoformat() == "2017-08-05T00:40:02.012000+00:00"
    email.refresh_from_db()
    assert email.sent_at == times["sent"]
    assert EmailRecipient.objects.get(address=R).status_at == times["delivered"]


def test_the_timestamp_format_of_notifications_is_parsed(sample, make_email, ingest_events):
    event = sample("notification_bounce")
    event["bounce"]["timestamp"] = "2018-10-08T14:05:45 +0000"
    make_email()

    ingest_events(event)

    assert EmailEvent.objects.get().occurred_at.isoformat() == "2018-10-08T14:05:45+00:00"


def test_a_bounce_reported_in_both_formats_counts_once(
    sample, make_email, ingest_events, published
):
    email = make_email()

    ingest_events(sample("bounce_permanent_general"), sample("notification_bounce"))
    ingest_events(sample("notification_bounce"))

    assert recorded_facts(email) == [("bounced", R, "bounced")]
    assert sorted(kind for kind, _ in published()) == ["email.bounced", "suppression.added"]


def test_two_bounces_count_twice(sample, make_email, ingest_events):
    event = sample("bounce_permanent_general")
    email = make_email()

    ingest_events(event, event | {"bounce": event["bounce"] | {"feedbackId": "another"}})

    assert len(recorded_facts(email)) == 2


def test_an_out_of_office_reply_after_delivery_is_only_recorded(sample, make_email, ingest_events):
    email = make_email()

    ingest_events(sample("delivery"))
    ingest_events(sample("bounce_transient_general"))

    assert recipient_statuses(email) == {R: "delivered", OTHER: "sent"}
    assert len(recorded_facts(email)) == 2


def test_a_complaint_overrides_a_bounce_in_any_order(sample, make_email, ingest_events):
    make_email()

    ingest_events(sample("complaint_abuse"))
    ingest_events(sample("bounce_permanent_general"))

    assert suppressions() == {R: "complaint"}


def test_an_email_that_failed_for_all_recipients_has_the_worst_status(
    sample, make_email, ingest_events
):
    bounce = sample("bounce_transient_mailbox_full")
    bounce["bounce"]["bouncedRecipients"][0]["emailAddress"] = OTHER
    email = make_email()

    ingest_events(bounce, sample("complaint_abuse"))

    email.refresh_from_db()
    assert recipient_statuses(email) == {R: "complained", OTHER: "soft_bounced"}
    assert email.status == "complained"
