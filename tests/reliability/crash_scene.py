"""Workers that crash at exact moments of a send, and how other workers recover under each policy.

The workers are the product's own. They are blocked from the outside: before and after the provider
call by database locks, during the call by a slow provider.
"""

import json
import signal
from collections import Counter, defaultdict
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tests.clients import wait_until
from tests.event_schemas import check
from tests.factories import ses_send_event, sns_notification

LEASE = 3  # seconds, of all unfinished sends from when the last worker has crashed
GRACE = 3
POLICIES = ("resend", "hold")
POINTS = {
    "before": "killed before the call to SES",
    "during": "killed during the call",
    "after": "killed after SES's response, before our commit",
    "committed": "killed after our commit",
    "stopped": "stopped (SIGTERM) during the call",
}
# When the Send event of the crashed worker's copy arrives: before the lease expires, after the
# grace period, or not at all.
ARRIVALS = ("early", "late", "never")
# Each point and arrival has one single mail and some of a batch. All mails of a point are in flight
# at once.
IN_BATCH = 7
MAILS = len(ARRIVALS) * (1 + IN_BATCH)

SEND = "emails.tasks.send_due_emails"
SWEEPS = (
    "ingest.tasks.process_due_events",
    "emails.tasks.resolve_unknown_sends",
    SEND,
    "events.tasks.dispatch_due_events",
)
# Records every status of a mail: polling would miss some.
_HISTORY = """
    CREATE TABLE history (
        number bigserial PRIMARY KEY, email_id uuid NOT NULL, status text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE FUNCTION record_status() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO history (email_id, status) VALUES (NEW.id, NEW.status);
        RETURN NULL;
    END $$;
    CREATE TRIGGER record_status AFTER UPDATE OF status ON emails FOR EACH ROW
        WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION record_status();
"""


@dataclass(frozen=True)
class Outcome:
    """The statuses of a mail since it was queued, the copies that SES accepted, the events."""

    path: tuple[str, ...]
    copies: int
    events: tuple[str, ...]

    @property
    def status(self):
        return self.path[-1]


def accept_mail(api):
    """Send the mail of every point and arrival through the API."""
    for point in POINTS:
        for arrival in ARRIVALS:
            mails = [_mail(point, arrival, number) for number in range(1 + IN_BATCH)]
            assert api.post("/emails", mails[0]).status_code == 200
            assert api.post("/emails/batch", mails[1:]).status_code == 200


def _mail(point, arrival, number):
    return {
        "from": "ada@example.com",
        "to": f"{point}.{arrival}.{number}@example.net",
        "subject": "Hello",
        "text": "Hello",
        "tags": [{"name": "point", "value": point}, {"name": "arrival", "value": arrival}],
    }


class Scene:
    """The database in which workers crash; its mail becomes due point by point."""

    def __init__(self, database, twin, broker):
        self.database = database
        self._twin = twin
        self._broker = broker
        database.run(_HISTORY)
        # Without a configuration set the twin posts no events; the test stores them itself.
        database.run(
            "UPDATE emails SET next_attempt_at = now() + interval '1 day', configuration_set = ''"
        )

    def stop(self, worker, point):
        """Let the worker reach this point with its mail, and end it there."""
        with self._stopped_at(point) as is_there:
            self.database.run(
                "UPDATE emails SET next_attempt_at = now() WHERE tags->>'point' = %s", point
            )
            self._broker.send(SEND, worker.queue)
            wait_until(is_there, seconds=60, what=f"the worker reaching {point!r}")
            number = signal.SIGTERM if point == "stopped" else signal.SIGKILL
            assert worker.stop(number) == (0 if point == "stopped" else -signal.SIGKILL)

    @contextmanager
    def _stopped_at(self, point):
        locking = {
            "before": lambda: self.database.locking("email_recipients", "ACCESS EXCLUSIVE"),
            "after": lambda: self.database.locking("email_events", "SHARE"),
        }.get(point, nullcontext)
        conditions = {
            "before": lambda: self._are_all(point, "sending") and self.database.is_blocked(),
            "during": lambda: self._are_accepted(point),
            "after": lambda: self._are_accepted(point) and self.database.is_blocked(),
            "committed": lambda: self._are_all(point, "sent"),
            "stopped": lambda: self._are_accepted(point),
        }
        self._twin.fault(latency_ms={"during": 60_000, "stopped": 1_000}.get(point, 0))
        with locking():
            yield conditions[point]
        self._twin.fault(latency_ms=0)

    def _are_all(self, point, status):
        query = "SELECT count(*) FROM emails WHERE tags->>'point' = %s AND status = %s"
        return self.database.run(query, point, status) == [(MAILS,)]

    def _are_accepted(self, point):
        return sum(copy["tags"]["point"] == point for copy in self._twin.mail(raw="false")) == MAILS


def store_send_events(database, copies, *, arrival):
    """Store SES's Send events of these copies, as the callback endpoint would."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO provider_events (id, source, event_id, kind, topic_arn, body, state,"
            " reason, type, request_id, received_at, claims, crashes)"
            " VALUES (gen_random_uuid(), 'ses', gen_random_uuid(), 'notification', '', %s,"
            " 'received', '', '', '', now(), 0, 0)",
            [
                [sns_notification(ses_send_event(copy, at=copy["at"]))]
                for copy in copies
                if copy["tags"]["arrival"] == arrival and "policy" not in copy["tags"]
            ],
        )


class Recovery:
    """A copy of the scene in which another worker continues under one of the policies."""

    def __init__(self, database, policy):
        self.database = database
        self.policy = policy

    def begin(self):
        """Let the crashed workers' leases expire together, so that one wait serves every point."""
        self.database.run(
            "UPDATE emails SET tags = tags || jsonb_build_object('policy', %s::text)", self.policy
        )
        self.database.run(
            "UPDATE emails SET next_attempt_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE status = 'sending'",
            LEASE,
        )
        ((self._begun,),) = self.database.run("SELECT clock_timestamp()")

    def is_idle(self):
        """Whether nothing happens until SES posts an event or an operator decides."""
        return not self.database.run("SELECT id FROM emails WHERE next_attempt_at IS NOT NULL")

    def is_finished(self):
        """Whether every callback is processed and every event dispatched."""
        return self.is_idle() and not self.database.run(
            "SELECT id FROM provider_events WHERE state <> 'processed'"
            " UNION ALL SELECT id FROM events WHERE next_attempt_at IS NOT NULL"
        )

    def outcomes(self, copies):
        """Mails counted by outcome, for each point and arrival; `copies` are all SES accepted."""
        ours = [copy for copy in copies if copy["tags"].get("policy", self.policy) == self.policy]
        accepted = Counter(copy["tags"]["opensend_email_id"] for copy in ours)
        paths = _grouped(self.database.run("SELECT email_id, status FROM history ORDER BY number"))
        events = _grouped(
            self.database.run(
                "SELECT fact.email_id, event.type FROM events AS event"
                " LEFT JOIN email_events AS fact ON fact.id = event.id ORDER BY event.id"
            )
        )
        found = defaultdict(Counter)
        for key, point, arrival in self.database.run(
            "SELECT id, tags->>'point', tags->>'arrival' FROM emails"
        ):
            outcome = Outcome(tuple(paths[key]), accepted[str(key)], tuple(events[key]))
            found[point, arrival][outcome] += 1
        return dict(found)

    def too_short(self):
        """Seconds of the leases and of the grace periods that ended too early."""
        leases = self.database.run(
            "SELECT at - %s FROM history WHERE status = 'unknown'", self._begun
        )
        graces = self.database.run(
            "SELECT retry.at - unknown.at FROM history AS unknown JOIN history AS retry"
            " USING (email_id) WHERE unknown.status = 'unknown' AND retry.status = 'queued'"
        )
        # One clock is read when a transaction begins, the other when it ends.
        return [each for each in _seconds(leases) if each < LEASE - 1] + [
            each for each in _seconds(graces) if each < GRACE - 1
        ]

    def invalid_events(self):
        """Events that do not match the catalogue's schema of their type."""
        errors = []
        for (body,) in self.database.run("SELECT body FROM events"):
            try:
                check(json.loads(body))
            except AssertionError as error:
                errors.append(str(error))
        return errors


def _grouped(rows):
    found = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return found


def _seconds(rows):
    return [each.total_seconds() for (each,) in rows]
