"""SES events in SNS notifications, built and signed like the twin does, before the clock starts."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

from bench.mails import MailRef, wire_headers
from twin.outcomes import Outcome, Step
from twin.ses.events import SUBJECT, Sent, describe_mail, event_json, new_message_id
from twin.ses.mime import read_message
from twin.signing import Signer
from twin.sns.messages import build_notification, envelope_post
from twin.state import Subscription

PROCESSES = 2
_CHUNK = 250
_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Event:
    """A future callback: its mail and its SES event type."""

    mail: MailRef
    type: str


def events_for(mails: Sequence[MailRef], *, count: int) -> list[Event]:
    """Send and Delivery alternate; one in twenty mails bounces instead of being delivered."""
    events: list[Event] = []
    for number, mail in enumerate(mails):
        events.append(Event(mail, "SEND"))
        events.append(Event(mail, "BOUNCE" if number % 20 == 7 else "DELIVERY"))
        if len(events) >= count:
            break
    return events[:count]


def ses_message(event: Event) -> str:
    """The `Message` of the notification: the event as SES publishes it."""
    now = time.time()
    outcome = Outcome.BOUNCED if event.type == "BOUNCE" else Outcome.DELIVERED
    address = event.mail.address
    sent = Sent(
        id=event.mail.provider_message_id,
        region=_REGION,
        at=now,
        source=event.mail.sender,
        destination=[address],
        recipients=[address],
        configuration_set="opensend",
        tags={"opensend_email_id": str(event.mail.id), "campaign": "welcome"},
        operation="SendRawEmail",
        source_ip="203.0.113.9",
        message=read_message(wire_headers(event.mail)),
    )
    step = Step(event_type=event.type, after=0.05, outcome=outcome, recipients=[address])
    return event_json(sent, describe_mail(sent), step)


def signed_requests(
    events: Sequence[Event], *, twin_dir: Path, topic_arn: str, port: int
) -> list[bytes]:
    """HTTP requests to `/events/ses`, each with its own MessageId and signature."""
    chunks = [events[at : at + _CHUNK] for at in range(0, len(events), _CHUNK)]
    context = get_context(
        "spawn"
    )  # a fork would copy this process's threads and locks in any state
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        futures = [pool.submit(_sign, chunk, twin_dir, topic_arn, port) for chunk in chunks]
        return [request for future in futures for request in future.result()]


def new_provider_id() -> str:
    return new_message_id(_REGION, time.time())


def _sign(events: Sequence[Event], twin_dir: Path, topic_arn: str, port: int) -> list[bytes]:
    signer = Signer(twin_dir)
    subscription = Subscription(
        arn=f"{topic_arn}:{uuid4()}",
        topic_arn=topic_arn,
        protocol="http",
        endpoint=f"http://127.0.0.1:{port}/events/ses",
        token="",
        token_created_at=0,
    )
    return [_request(event, signer, subscription, topic_arn, port) for event in events]


def _request(
    event: Event, signer: Signer, subscription: Subscription, topic_arn: str, port: int
) -> bytes:
    fields = build_notification(
        topic_arn=topic_arn,
        message=ses_message(event),
        subject=SUBJECT,
        attributes={},
        version="2",
        now=time.time(),
        signer=signer,
    )
    post = envelope_post(
        fields, subscription=subscription, content_type="text/plain; charset=UTF-8"
    )
    headers = "".join(f"{name}: {value}\r\n" for name, value in post.headers.items())
    head = (
        f"POST /events/ses HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}"
        f"Content-Length: {len(post.body)}\r\nAccept-Encoding: gzip,deflate\r\n\r\n"
    )
    return head.encode() + post.body
