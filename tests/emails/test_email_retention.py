"""Old mail loses its content, then goes; what is still to be sent is never touched."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from core.blobs import BlobStoreUnavailable, blobs
from core.queue import wake
from core.queue.worker_loop import stopping
from emails import queues, retention
from emails.content.attachments import blob_key
from emails.models import Email, EmailAttachment, EmailEvent, EmailRecipient
from emails.tasks import purge_old_content, purge_old_emails

pytestmark = pytest.mark.django_db

UNFINISHED = ["scheduled", "queued", "held", "sending", "unknown"]
FINAL = [status for status in Email.Status.values if status not in UNFINISHED]


@pytest.fixture(autouse=True)
def _settings(settings, tmp_path):
    settings.EMAIL_CONTENT_RETENTION = timedelta(days=30)
    settings.EMAIL_RETENTION = timedelta(days=365)
    settings.BLOB_STORE = str(tmp_path / "blobs")


@pytest.fixture
def mail(workspace):
    """`mail("delivered", days=31)`: an email of that age with a recipient, fact and attachment."""

    def make(status="delivered", *, days, sent_days=None, **changes):
        now = timezone.now()
        email = Email.objects.create(
            workspace=workspace,
            sender="a@example.com",
            to=["b@example.com"],
            subject="Hello",
            html="<p>Secret</p>",
            text="Secret",
            headers={"X-Case": "4711"},
            attachment_count=1,
            status=status,
            next_attempt_at=now if status in UNFINISHED else None,
            created_at=now - timedelta(days=days),
            sent_at=now - timedelta(days=sent_days) if sent_days is not None else None,
            **changes,
        )
        EmailRecipient.objects.create(email=email, kind="to", address="b@example.com")
        EmailEvent.objects.create(
            email=email, workspace=workspace, type="sent", fingerprint="1", occurred_at=now
        )
        key = blob_key(email.pk, 0)
        blobs().put(key, b"%PDF")
        EmailAttachment.objects.create(
            email=email, position=0, filename="a.pdf", content_type="application/pdf",
            size=4, sha256="0" * 64, blob_key=key,
        )  # fmt: skip
        return email

    return make


def stored_blobs():
    return blobs().keys("emails/", after="", limit=1000)


def test_nothing_is_purged_unless_it_is_set(mail, settings):
    settings.EMAIL_CONTENT_RETENTION = settings.EMAIL_RETENTION = None
    mail(days=10_000)
    assert (purge_old_content(), purge_old_emails()) == (0, 0)
    assert Email.objects.get().text == "Secret"


def test_old_content_is_purged_with_its_attachments(mail):
    old, young = mail(days=31), mail(days=29)
    assert purge_old_content() == 1
    old.refresh_from_db()
    assert (old.html, old.text, old.headers) == ("", "", {})
    assert old.content_purged_at is not None
    assert (old.subject, old.to, old.status) == ("Hello", ["b@example.com"], "delivered")
    assert stored_blobs() == [blob_key(young.pk, 0)]
    assert EmailAttachment.objects.get().email_id == young.pk
    assert Email.objects.get(pk=young.pk).text == "Secret"
    assert EmailRecipient.objects.count() == EmailEvent.objects.count() == 2
    assert purge_old_content() == 0


@pytest.mark.parametrize("status", FINAL)
def test_every_final_status_is_purged(mail, status):
    mail(status, days=400)
    assert (purge_old_content(), purge_old_emails()) == (1, 1)


@pytest.mark.parametrize("status", UNFINISHED)
def test_mail_that_may_still_be_sent_is_never_purged(mail, status):
    mail(status, days=10_000)
    assert (purge_old_content(), purge_old_emails()) == (0, 0)
    assert Email.objects.get().text == "Secret"
    assert len(stored_blobs()) == 1


def test_an_unknown_send_that_waits_for_an_operator_is_never_purged(mail):
    email = mail("unknown", days=10_000)
    Email.objects.filter(pk=email.pk).update(next_attempt_at=None)
    assert (purge_old_content(), purge_old_emails()) == (0, 0)


def test_scheduled_mail_is_as_old_as_its_sending(mail):
    mail(days=60, sent_days=29)
    assert purge_old_content() == 0
    mail(days=60, sent_days=31)
    assert purge_old_content() == 1


def test_old_emails_are_deleted_with_everything_about_them(mail):
    mail(days=366)
    kept = mail(days=364)
    assert purge_old_emails() == 0  # its content goes first, and its blobs with it
    assert purge_old_content() == 2
    assert purge_old_emails() == 1
    assert Email.objects.get().pk == kept.pk
    assert EmailRecipient.objects.get().email_id == kept.pk
    assert EmailEvent.objects.get().email_id == kept.pk
    assert stored_blobs() == []


def test_emails_can_be_deleted_without_a_retention_of_content(mail, settings):
    settings.EMAIL_CONTENT_RETENTION = None
    mail(days=364)
    mail(days=366)
    assert (purge_old_content(), purge_old_emails()) == (1, 1)
    assert Email.objects.get().text == "Secret"


def test_batches_go_on_until_nothing_is_left(mail, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        mail(days=400)
    assert (purge_old_content(), purge_old_emails()) == (5, 5)
    assert stored_blobs() == []


def test_a_slice_ends_and_hints_at_the_next(mail, monkeypatch):
    hints = []
    monkeypatch.setattr(wake, "hint", hints.append)
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "SLICE_SECONDS", 0)
    for _ in range(3):
        mail(days=400)
    assert purge_old_content() == 2
    assert purge_old_emails() == 2
    assert hints == [queues.PURGE_CONTENT.task, queues.PURGE_EMAILS.task]
    stopping.set()
    try:
        assert (purge_old_content(), purge_old_emails()) == (0, 0)
    finally:
        stopping.clear()


def test_blobs_of_an_unavailable_store_are_left_to_the_scan_for_orphans(mail, monkeypatch):
    mail(days=31)

    def unavailable(store, keys):
        raise BlobStoreUnavailable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(type(blobs()), "delete", unavailable)
        assert purge_old_content() == 1
    assert len(stored_blobs()) == 1
    assert not EmailAttachment.objects.exists()  # so the scan deletes it


def test_the_database_refuses_to_send_what_has_no_content(mail):
    email = mail(days=31)
    purge_old_content()
    with pytest.raises(IntegrityError, match="emails_has_content"), transaction.atomic():
        Email.objects.filter(pk=email.pk).update(status="queued", next_attempt_at=timezone.now())


@pytest.mark.parametrize(("column", "value"), [("text", ""), ("content_purged_at", None)])
def test_the_database_refuses_mail_without_content_that_was_not_purged(mail, column, value):
    email = mail(days=31)
    Email.objects.filter(pk=email.pk).update(html="")
    if column == "content_purged_at":
        purge_old_content()
    with pytest.raises(IntegrityError, match="emails_has_content"), transaction.atomic():
        Email.objects.filter(pk=email.pk).update(**{column: value})


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (lambda: Email.objects.with_old_content(timezone.now()), "emails_content_age"),
        (lambda: Email.objects.without_content_since(timezone.now()), "emails_purged_age"),
    ],
    ids=["content", "emails"],
)
def test_a_purge_reads_only_its_partial_index(mail, rows, index):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = rows().values("pk")[:500].explain()
    assert index in plan
    assert "Sort" not in plan


def test_the_api_shows_what_was_purged(api, mail):
    email = mail(days=31)
    before = api.get(f"/emails/{email.pk}").json()
    assert before["content_purged_at"] is None
    purge_old_content()
    after = api.get(f"/emails/{email.pk}").json()
    assert after["content_purged_at"] is not None
    assert (after["html"], after["text"], after["headers"]) == (None, None, {})
    for name in before.keys() - {"html", "text", "headers", "content_purged_at"}:
        assert after[name] == before[name], name
    assert api.get(f"/emails/{email.pk}/attachments").json()["data"] == []
    assert api.get(f"/emails/{email.pk}/events").status_code == 200
    assert api.get(f"/emails/{email.pk}/trace").status_code == 200


def test_a_deleted_email_is_not_found(api, mail):
    email = mail(days=366)
    purge_old_content(), purge_old_emails()
    for path in ("", "/attachments", "/events", "/trace"):
        assert api.get(f"/emails/{email.pk}{path}").status_code == 404
    assert api.get("/emails").json()["data"] == []


def test_the_admin_says_that_the_content_was_purged(admin_client, mail):
    email = mail(days=31)
    purge_old_content()
    page = admin_client.get(f"/admin/emails/email/{email.pk}/change/").content.decode()
    assert "The content was purged at" in page
    assert "Secret" not in page


def test_the_unsubscribe_link_of_a_deleted_email_still_works(workspace, mail):
    from contacts.models import Suppression
    from tracking.tokens import Unsubscribe, sign_unsubscribe

    email = mail(days=366)
    token = sign_unsubscribe(Unsubscribe(workspace.pk, email.pk, "b@example.com"))
    purge_old_content(), purge_old_emails()
    assert Client().post(f"/t/u/{token}").status_code == 200
    assert Suppression.objects.get().email == "b@example.com"
