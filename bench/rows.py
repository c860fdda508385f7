"""Backlogs, inserted with COPY in the state in which the product would leave them."""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString
from uuid import UUID, uuid4

import orjson
from psycopg import sql

from bench import mails
from bench.mails import MailRef
from bench.notifications import Event, new_provider_id, ses_message
from bench.system import System
from core.db.ids import uuid7


def new_mails(count: int) -> list[MailRef]:
    return [MailRef(uuid7(), number, new_provider_id()) for number in range(count)]


def write_mails(system: System, refs: Sequence[MailRef], *, status: str) -> None:
    """Emails with one recipient each: `queued` and due, or `sent`."""
    workspace, domain = _tenant(system)
    _copy(
        system,
        "emails",
        "id workspace_id domain_id region configuration_set sender to cc bcc reply_to subject html"
        " text headers tags status last_error provider_message_id provider_response message_id"
        " request_id created_at next_attempt_at claims crashes",
        (_mail_row(ref, workspace, domain, status=status) for ref in refs),
    )
    _copy(
        system,
        "email_recipients",
        "id email_id kind address status detail",
        ((uuid7(), ref.id, "to", ref.address, status, "") for ref in refs),
    )


def write_callbacks(system: System, events: Sequence[Event], *, topic_arn: str) -> None:
    """Accepted callbacks that are not processed yet."""
    _copy(
        system,
        "provider_events",
        "id source event_id kind topic_arn body state reason type request_id received_at"
        " next_attempt_at claims crashes",
        (
            (
                *(
                    uuid7(),
                    "ses",
                    str(uuid4()),
                    "notification",
                    topic_arn,
                    _envelope(event, topic_arn),
                ),
                *("received", "", "", "", "now", "now", 0, 0),
            )
            for event in events
        ),
    )


def write_callbacks_of_another_source(system: System, source: str, *, count: int) -> None:
    """Callbacks that no worker processes; they became due an hour ago."""
    system.database.execute(
        "INSERT INTO provider_events (id, source, event_id, kind, topic_arn, body, state, reason,"
        " type, request_id, received_at, next_attempt_at, claims, crashes)"
        " SELECT uuidv7(), %s, number, 'notification', '', repeat('x', 2000), 'received', '', '',"
        " '', due, due, 0, 0 FROM (SELECT number,"
        "  now() - make_interval(secs => 3600 - number / 1000.0) AS due"
        "  FROM generate_series(1, %s) AS number) AS dated",
        [source, count],
    )


def write_deliveries(system: System, endpoints: Sequence[UUID], *, count: int) -> None:
    """Dispatched events with one pending delivery each, round-robin over the endpoints."""
    workspace, _ = _tenant(system)
    ids = [uuid7() for _ in range(count)]
    _copy(
        system,
        "events",
        "id workspace_id type body request_id last_error created_at next_attempt_at claims crashes",
        (
            (key, workspace, "email.delivered", _event_body(key, number), "", "", "now", None, 1, 0)
            for number, key in enumerate(ids)
        ),
    )
    _copy(
        system,
        "webhook_deliveries",
        "id endpoint_id event_id status attempts last_error created_at next_attempt_at claims"
        " crashes",
        (
            (uuid7(), endpoints[number % len(endpoints)], key, "pending", 0, "", "now", "now", 0, 0)
            for number, key in enumerate(ids)
        ),
    )


def write_dispatched_events(system: System, *, count: int) -> None:
    """Many events, generated inside the database, which is faster than sending it a gigabyte."""
    workspace, _ = _tenant(system)
    placeholder = uuid7()
    _in_bulk(
        system,
        "INSERT INTO events (id, workspace_id, type, body, request_id, last_error, created_at,"
        " next_attempt_at, claims, crashes)"
        " SELECT id, %s, 'email.delivered', replace(%s, %s, id::text), '', '', now(), NULL, 1, 0"
        " FROM (SELECT uuidv7() AS id FROM generate_series(1, %s)) AS new",
        [workspace, _event_body(placeholder, 0), str(placeholder), count],
    )


def create_deliveries(system: System, endpoints: Sequence[UUID], *, count: int) -> None:
    """Replace all deliveries by one for each of `count` events, round-robin over the endpoints.

    They became due at intervals of a millisecond; `created_at` is the same time.
    """
    system.database.execute("TRUNCATE webhook_deliveries CASCADE")
    _in_bulk(
        system,
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, status, attempts, last_error,"
        " created_at, next_attempt_at, claims, crashes)"
        " SELECT uuidv7(), (%(endpoints)s::uuid[])[1 + number %% %(turns)s], id, 'pending', 0, '',"
        " due, due, 0, 0 FROM (SELECT id, number,"
        "  now() - make_interval(secs => (%(count)s - number) / 1000.0) AS due"
        "  FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM events"
        "   LIMIT %(count)s) AS numbered) AS dated",
        {"endpoints": list(endpoints), "turns": len(endpoints), "count": count},
    )


def schedule(system: System, *, count: int, due: int) -> None:
    """Scheduled mail of one workspace, without recipients: `due` mails just became due, the rest
    does within the next 30 days."""
    workspace, domain = _tenant(system)
    _in_bulk(
        system,
        "INSERT INTO emails (id, workspace_id, domain_id, region, configuration_set, sender, "
        ' "to", cc, bcc, reply_to, subject, html, text, headers, tags, status, last_error,'
        " provider_message_id, provider_response, message_id, request_id, created_at,"
        " scheduled_at, next_attempt_at, claims, crashes)"
        " SELECT uuidv7(), %(workspace)s, %(domain)s, 'us-east-1', 'opensend', 'a@b.test',"
        " '{a@example.com}', '{}', '{}', '{}', 'Later', '', 'Later', '{}', '{}', 'scheduled', '',"
        " '', '', '<later@b.test>', '', now(), at, at, 0, 0 FROM (SELECT now() + CASE"
        "  WHEN number <= %(due)s THEN make_interval(secs => -number / 1000.0)"
        "  ELSE make_interval(secs => 3600 + 2500000.0 * number / %(count)s) END AS at"
        "  FROM generate_series(1, %(count)s) AS number) AS dated",
        {"workspace": workspace, "domain": domain, "due": due, "count": count},
    )


def add_endpoints(system: System, *, port: int, count: int, events: list[str]) -> list[UUID]:
    """Create endpoints of the sink on that port through the API."""
    base = f"http://127.0.0.1:{port}/hooks"
    return [add_endpoint(system, f"{base}/{number}", events=events) for number in range(count)]


def add_endpoint(system: System, url: str, *, events: list[str]) -> UUID:
    status, answer = system.call("POST", "/webhooks", {"endpoint": url, "events": events})
    if status != 201:
        raise RuntimeError(f"POST /webhooks: {status} {answer!r}")
    return UUID(orjson.loads(answer)["id"])


def _tenant(system: System) -> tuple[UUID, UUID]:
    """(workspace id, domain id) of the demo data that every local stack has."""
    row = system.database.execute(
        "SELECT workspace_id, id FROM domains WHERE name = 'demo.opensend.test'"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _mail_row(ref: MailRef, workspace: UUID, domain: UUID, *, status: str) -> tuple[Any, ...]:
    body = mails.api_body(ref.number)
    headers = orjson.dumps(body["headers"]).decode()
    tags = orjson.dumps({"campaign": "welcome"}).decode()
    due = status == "queued"
    return (
        *(ref.id, workspace, domain, "us-east-1", "opensend", body["from"], body["to"], [], []),
        *([], body["subject"], body["html"], body["text"], headers, tags, status, ""),
        *("" if due else ref.provider_message_id, "", f"<{ref.id}@demo.opensend.test>", "", "now"),
        *("now" if due else None, 0, 0),
    )


def _envelope(event: Event, topic_arn: str) -> str:
    """The SNS envelope; signatures are not verified again after acceptance."""
    envelope = {
        "Type": "Notification",
        "MessageId": str(uuid4()),
        "TopicArn": topic_arn,
        "Subject": "Amazon SES Email Event Notification",
        "Message": ses_message(event),
        "Timestamp": "2026-05-10T00:00:00.000Z",
        "SignatureVersion": "2",
        "Signature": "A" * 344,
        "SigningCertURL": f"https://sns.us-east-1.amazonaws.com/{'0' * 32}.pem",
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
    }
    return orjson.dumps(envelope).decode()


def _event_body(key: UUID, number: int) -> str:
    data = {
        "email_id": str(uuid7()),
        "message_id": f"<{new_provider_id()}@email.amazonses.com>",
        "created_at": "2026-11-02T10:00:00.000Z",
        "from": mails.SENDER,
        "to": [mails.address(number)],
        "subject": mails.SUBJECT.format(number=number),
        "tags": {"campaign": "welcome"},
        "recipient": mails.address(number),
        "delivery": {
            "timestamp": "2026-11-02T10:00:01.000Z",
            "processingTimeMillis": 1042,
            "recipients": [mails.address(number)],
            "smtpResponse": "250 2.6.0 Message received",
            "reportingMTA": "a8-70.smtp-out.amazonses.com",
        },
    }
    envelope = {
        "id": f"whd_{key}",
        "type": "email.delivered",
        "created_at": "2026-11-02T10:00:01.123Z",
        "data": data,
    }
    return orjson.dumps(envelope).decode()


def _in_bulk(system: System, statement: LiteralString, values: Any) -> None:
    """Run the statement without foreign key checks: the referenced rows exist."""
    with system.database.transaction():
        system.database.execute("SET LOCAL session_replication_role = replica")
        system.database.execute(statement, values)


def _copy(system: System, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns.split()))
    )
    with system.database.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
