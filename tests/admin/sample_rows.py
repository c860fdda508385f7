"""One row of every table, with secrets that no page may show."""

import hashlib
import json
from datetime import timedelta

from django.utils import timezone

from accounts.models import ApiKey, IdempotencyRecord
from contacts.models import Contact, SesRemoval, Suppression
from core.db.ids import uuid7
from core.models import Heartbeat
from domains.models import DnsRecord, Domain
from emails.models import EmailAttachment, EmailEvent, EmailRecipient, SendRate
from events.models import Event
from ingest.models import ProviderEvent
from tests.factories import create_email
from tracking.models import Hit
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour, EndpointRateLimit, Recovery

DIGEST = "d16e57" * 10
SECRET = "gAAAA-encrypted-secret"
STORED_RESPONSE = "gAAAA-encrypted-answer"
UNSUBSCRIBE_URL = "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=x"


def create_one_of_each(tenant):
    unique = uuid7().hex
    key = ApiKey.objects.create(
        workspace=tenant, name="key", prefix="os_abcdefg", digest=(unique + DIGEST)[:64]
    )
    IdempotencyRecord.objects.create(
        workspace=tenant, route="/emails", key=unique, status=200, encrypted_body=STORED_RESPONSE
    )
    domain = Domain.objects.create(workspace=tenant, name=f"{unique}.test", region="us-east-1")
    DnsRecord.objects.create(domain=domain, purpose="DKIM", name="a", type="CNAME", value="b")
    Contact.objects.create(workspace=tenant, email=f"{unique}@example.org")
    SesRemoval.objects.create(
        workspace=tenant, email=f"{unique}@example.org", region="us-east-1", last_error="denied"
    )
    Suppression.objects.create(workspace=tenant, email=f"{unique}@example.org", origin="bounce")
    email = create_email(
        tenant, api_key=key, text="", html="<p>Hi</p>", status="delivered", next_attempt_at=None
    )
    EmailRecipient.objects.create(email=email, kind="to", address="bob@example.org")
    EmailAttachment.objects.create(
        email=email,
        position=0,
        filename="a.pdf",
        content_type="application/pdf",
        size=3,
        sha256="0" * 64,
        blob_key=f"emails/{unique}",
    )
    EmailEvent.objects.create(
        email=email,
        workspace=tenant,
        type="delivered",
        fingerprint=hashlib.sha256(unique.encode()).hexdigest(),
        payload={"smtpResponse": "250 ok"},
        occurred_at=timezone.now(),
    )
    Hit.objects.create(
        kind="click",
        email_id=email.pk,
        link=1,
        links=1,
        target="https://example.org/",
        user_agent="curl/8.5.0",
        network="192.0.2.0",
        verdict="machine",
        reasons=["script"],
        at=timezone.now(),
        next_attempt_at=None,
    )
    SendRate.objects.create(name=f"rate-{unique[-20:]}", max_rate=14)
    ProviderEvent.objects.create(
        source="ses",
        event_id=str(uuid7()),
        body=json.dumps(
            {
                "Message": json.dumps({"eventType": "Delivery", "Token": "t0k3n"}),
                "UnsubscribeURL": UNSUBSCRIBE_URL,
                "Token": "t0k3n",
            }
        ),
        email_id=email.pk,
    )
    event = Event.objects.create(workspace=tenant, type="email.sent", body='{"data": {}}')
    endpoint = Endpoint.objects.create(
        workspace=tenant,
        url=f"https://{unique}.test/hook",
        event_types=["*"],
        encrypted_keyring=SECRET,
        encrypted_headers=SECRET,
        header_names=["X-Tenant"],
        rate_limit=5,
    )
    now = timezone.now()
    delivery = Delivery.objects.create(
        endpoint=endpoint, event=event, attempts=1, last_status_code=500, last_error="http_500"
    )
    Attempt.objects.create(delivery=delivery, number=1, status_code=500, duration_ms=5, at=now)
    hour = now.replace(minute=0, second=0, microsecond=0)
    EndpointHour.objects.create(endpoint=endpoint, hour=hour, failed=1, total_ms=5, slowest_ms=5)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=5, tokens=1)
    Recovery.objects.create(
        endpoint=endpoint, since=hour - timedelta(hours=1), until=hour, only="all"
    )
    Heartbeat.objects.create(name=unique, at=timezone.now())
