"""Messages that other apps and the installation itself hand over, without an HTTP body."""

from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from hashlib import sha256

import pytest
import time_machine
from django.utils import timezone

from accounts.access import Access, Actor, ActorKind, Scope
from contacts.models import Suppression
from core.blobs import BlobMissing, blobs
from core.db.ids import uuid7
from core.errors import ValidationFailed
from domains.services import DomainNotVerified
from emails import orphan_blobs
from emails.content.addresses import Mailbox
from emails.content.outgoing_message import OutgoingAttachment, OutgoingMessage, StoredBlob
from emails.models import Email, EmailAttachment
from emails.sending.loop import send_due
from emails.services import ApiKeyDomainRestricted, accept, accept_internal
from tests.database import make_due

pytestmark = pytest.mark.django_db

ADA = Mailbox("Ada", "ada@example.com")
BOB = Mailbox("", "bob@example.net")
KEY = "received/2026-05-10/1"
PDF = b"%PDF-1.7 \x00\xff"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.BLOB_STORE = str(tmp_path / "store")


@pytest.fixture
def access(workspace):
    return Access.of_system(workspace)


@pytest.fixture
def deliver(provider):
    """`deliver()` sends what is accepted; the parsed messages."""

    def send():
        make_due(Email)
        send_due()
        return [message_from_bytes(sent.mime, policy=default) for sent in provider.sent]

    return send


def message(**changes):
    fields = {"sender": ADA, "to": [BOB], "subject": "Hello", "text": "Hello Bob"}
    return OutgoingMessage(**fields | changes)


def pdf(content):
    return OutgoingAttachment(filename="a.pdf", content_type="application/pdf", content=content)


def stored_pdf():
    blobs().put(KEY, PDF)
    return pdf(StoredBlob(KEY, len(PDF)))


def mailboxes(count):
    return [Mailbox("", f"r{number}@example.net") for number in range(count)]


def test_a_message_is_stored_with_its_owner(access, domain):
    at = timezone.now() + timedelta(hours=1)
    (draft,) = accept(
        access,
        [
            message(
                to=[BOB, Mailbox("Bob", "BOB@example.net")],
                cc=[BOB, Mailbox("Carla", "carla@example.net")],
                reply_to=[ADA, ADA],
                html="<p>Hello</p>",
                headers={"In-Reply-To": "<1@example.net>"},
                tags={"a": "b"},
                scheduled_at=at,
                unsubscribe=False,
                owner="inbox:1",
            )
        ],
    )

    email = Email.objects.get()
    assert (email.pk, email.api_key_id, email.owner) == (draft.email.pk, None, "inbox:1")
    assert (email.sender, email.to, email.cc, email.bcc, email.reply_to) == (
        "Ada <ada@example.com>",
        ["bob@example.net"],
        ["Carla <carla@example.net>"],
        [],
        ["Ada <ada@example.com>"],
    )
    assert (email.subject, email.html, email.text) == ("Hello", "<p>Hello</p>", "Hello Bob")
    assert (email.headers, email.tags) == ({"In-Reply-To": "<1@example.net>"}, {"a": "b"})
    assert (email.status, email.scheduled_at) == ("scheduled", at)


def test_email_of_the_api_has_no_owner(api, domain):
    api.post("/emails", {"from": "a@example.com", "to": "b@b.example", "subject": "x", "text": "x"})
    assert Email.objects.get().owner == ""


def test_attachments_are_sent_from_bytes_and_from_blobs(blob_store, access, domain, deliver):
    logo = OutgoingAttachment(
        filename="logo.png", content_type="image/png", content_id="logo", content=b"png"
    )
    accept(access, [message(html='<img src="cid:logo">', attachments=[logo, stored_pdf()])])

    first, second = EmailAttachment.objects.order_by("position")
    assert (first.filename, first.content_type, first.content_id) == (
        *("logo.png", "image/png"),
        "logo",
    )
    assert (second.size, second.sha256) == (len(PDF), sha256(PDF).hexdigest())
    assert {first.blob_key, second.blob_key, KEY} == {*blobs().keys("", after="", limit=10)}
    (sent,) = deliver()
    (attached,) = sent.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("a.pdf", PDF)
    (inline,) = (part for part in sent.walk() if part["Content-ID"])
    assert (inline["Content-ID"], inline.get_content()) == ("<logo>", b"png")


def test_the_caller_may_delete_its_blob_once_the_message_is_accepted(
    blob_store, access, domain, deliver
):
    accept(access, [message(attachments=[stored_pdf()])])
    blobs().delete([KEY])

    (sent,) = deliver()
    assert [part.get_content() for part in sent.iter_attachments()] == [PDF]


def test_deleting_the_email_deletes_its_copy_and_not_the_blob_of_the_caller(access, domain):
    attachment = stored_pdf()
    accept(access, [message(attachments=[attachment]), message(attachments=[attachment])])
    kept, gone = EmailAttachment.objects.order_by("pk")
    Email.objects.filter(pk=gone.email_id).delete()

    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=2)):
        assert orphan_blobs.delete_orphans() == 1
    assert sorted(blobs().keys("", after="", limit=10)) == sorted([kept.blob_key, KEY])


def test_a_blob_of_another_email_can_be_attached(access, domain, deliver):
    accept(access, [message(attachments=[pdf(PDF)])])
    first = EmailAttachment.objects.get()
    accept(access, [message(attachments=[pdf(StoredBlob(first.blob_key, first.size))])])
    Email.objects.filter(pk=first.email_id).delete()
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=2)):
        orphan_blobs.delete_orphans()

    (sent,) = deliver()
    assert [part.get_content() for part in sent.iter_attachments()] == [PDF]


def test_nothing_is_accepted_if_a_blob_is_gone(blob_store, access, domain):
    with pytest.raises(BlobMissing):
        accept(access, [message(), message(attachments=[pdf(StoredBlob(KEY, len(PDF)))])])
    assert not Email.objects.exists()


def test_email_of_the_installation_itself_may_have_attachments(domain, deliver):
    pk = uuid7()
    messages = {pk: message(attachments=[stored_pdf()])}
    assert len(accept_internal(domain, messages)) == 1
    assert accept_internal(domain, messages) == []

    assert Email.objects.get().pk == pk
    (sent,) = deliver()
    assert [part.get_content() for part in sent.iter_attachments()] == [PDF]


def test_one_click_unsubscribe_needs_no_header_of_the_caller(access, domain, deliver):
    accept(access, [message(unsubscribe=True)])
    (sent,) = deliver()
    assert sent["List-Unsubscribe"].startswith("<http://testserver/t/u/")


def test_suppressed_recipients_are_dropped(access, domain, workspace):
    Suppression.objects.create(workspace=workspace, email=BOB.address, origin="bounce")
    (draft,) = accept(access, [message()])
    assert draft.has_no_recipients
    assert Email.objects.get().status == "suppressed"


def test_the_domain_must_be_usable_by_the_caller(workspace, domain):
    actor = Actor(ActorKind.SYSTEM)
    restricted = Access(workspace, actor, frozenset(Scope), domain_id=uuid7())
    with pytest.raises(ApiKeyDomainRestricted):
        accept(restricted, [message()])
    with pytest.raises(DomainNotVerified):
        accept(Access.of_system(workspace), [message(sender=Mailbox("", "a@other.example"))])
    accept(Access(workspace, actor, frozenset(Scope), domain_id=domain.pk), [message()])
    assert Email.objects.count() == 1


MANY = mailboxes(51)


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"to": []}, "to", "must not be empty"),
        ({"to": MANY}, "to", "50 recipients"),
        ({"cc": MANY[:25], "bcc": MANY[25:]}, "to", "50 recipients"),
        ({"text": ""}, "html", "is required"),
        ({"text": "a" * 41 * 1024 * 1024}, "text", "40 MiB"),
        ({"attachments": [pdf(StoredBlob(KEY, 30 * 1024 * 1024))]}, "attachments", "40 MiB"),
        ({"unsubscribe": True, "cc": MANY[:1]}, "to", "exactly one recipient"),
        (
            {"unsubscribe": True, "headers": {"List-Unsubscribe": "<mailto:a@example.com>"}},
            "headers.List-Unsubscribe",
            "set by the platform",
        ),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_by_field(changes, field, problem):
    with pytest.raises(ValidationFailed) as refused:
        message(**changes).check()
    assert problem in refused.value.details["fields"][field]


def test_a_valid_message_has_no_problems():
    message().check()
    message(to=MANY[:50], attachments=[pdf(StoredBlob(KEY, 20 * 1024 * 1024))]).check()
