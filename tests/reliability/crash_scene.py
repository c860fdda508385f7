"""Workers that die over mail at exact moments, and what others make of it under each policy.

The workers are what the product runs. They are stopped from the outside: before and after the
provider call by locks that others hold in the database, during the call by a slow provider.
"""

import json
import signal
from collections import Counter, defaultdict
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tests.event_schemas import check
from tests.journey.product_running import wait_until
from tests.reliability.installation import send_event

LEASE = 3  # seconds, of all sends in doubt from when the last worker has died
GRACE = 3
POLICIES = ("resend", "hold")
POINTS = {
    "before": "killed before the call to SES",
    "during": "killed during the call",
    "after": "killed after SES's answer, before our commit",
    "committed": "killed after our commit",
    "asked": "asked to end (SIGTERM) during the call",
}
# When the Send event of the copy that the dead worker handed over comes: before the lease is
# over, after the grace, or not at all.
TELLINGS = ("early", "late", "never")
# Of each point and telling: one mail by itself and some of a batch. Those of a point are all
# in flight at once.
IN_BATCH = 7
MAILS = len(TELLINGS) * (1 + IN_BATCH)

SEND = "emails.tasks.send_due_emails"
SWEEPS = (
    "ingest.tasks.process_due_events",
    "emails.tasks.resolve_unknown_sends",
    SEND,
    "events.tasks.dispatch_due_events",
)
# Every status that a mail goes through, since no poll would see them all.
_HISTORY = """
    CREATE TABLE history (
        number bigserial PRIMARY KEY, email_id uuid NOT NULL, status text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO history (email_id, status) VALUES (NEW.id, NEW.status);
        RETURN NULL;
    END $$;
    CREATE TRIGGER remember AFTER UPDATE OF status ON emails FOR EACH ROW
        WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION remember();
"""


@dataclass(frozen=True)
class Fate:
    """What became of a mail: its statuses since it was queued, copies that SES took, events."""

    path: tuple[str, ...]
    copies: int
    events: tuple[str, ...]

    @property
    def status(self):
        return self.path[-1]


def accept_mail(api):
    """Through the API: the mail of every point and telling."""
    for point in POINTS:
        for telling in TELLINGS:
            mails = [_mail(point, telling, number) for number in range(1 + IN_BATCH)]
            assert api.post("/emails", mails[0]).status_code == 200
            assert api.post("/emails/batch", mails[1:]).status_code == 200


def _mail(point, telling, number):
    return {
        "from": "ada@example.com",
        "to": f"{point}.{telling}.{number}@example.net",
        "subject": "Hello",
        "text": "Hello",
        "tags": [{"name": "point", "value": point}, {"name": "telling", "value": telling}],
    }


class Scene:
    """The database over which workers die; its mail is for later until a worker is to take it."""

    def __init__(self, database, twin, broker):
        self.database = database
        self._twin = twin
        self._broker = broker
        database.run(_HISTORY)
        # Without a configuration set the twin posts no events: the test does, when it is time.
        database.run(
            "UPDATE emails SET next_attempt_at = now() + interval '1 day', configuration_set = ''"
        )

    def end(self, worker, point):
        """Let the worker get to this point with its mail, and end it there."""
        with self._stopped_at(point) as is_there:
            self.database.run(
                "UPDATE emails SET next_attempt_at = now() WHERE tags->>'point' = %s", point
            )
            self._broker.send(SEND, worker.queue)
            wait_until(is_there, seconds=60, what=f"the worker of {point!r}")
            number = signal.SIGTERM if point == "asked" else signal.SIGKILL
            assert worker.end(number) == (0 if point == "asked" else -signal.SIGKILL)

    @contextmanager
    def _stopped_at(self, point):
        holding = {
            "before": lambda: self.database.holding("email_recipients", "ACCESS EXCLUSIVE"),
            "after": lambda: self.database.holding("email_events", "SHARE"),
        }.get(point, nullcontext)
        conditions = {
            "before": lambda: self._are_all(point, "sending") and self.database.is_held_up(),
            "during": lambda: self._are_taken(point),
            "after": lambda: self._are_taken(point) and self.database.is_held_up(),
            "committed": lambda: self._are_all(point, "sent"),
            "asked": lambda: self._are_taken(point),
        }
        self._twin.fault(latency_ms={"during": 60_000, "asked": 1_000}.get(point, 0))
        with holding():
            yield conditions[point]
        self._twin.fault(latency_ms=0)

    def _are_all(self, point, status):
        query = "SELECT count(*) FROM emails WHERE tags->>'point' = %s AND status = %s"
        return self.database.run(query, point, status) == [(MAILS,)]

    def _are_taken(self, point):
        return sum(copy["tags"]["point"] == point for copy in self._twin.mail()) == MAILS


def tell(database, copies, *, telling):
    """SES's Send events of these copies, as the endpoint for callbacks would have kept them."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO provider_events (id, source, event_id, kind, topic_arn, body, state,"
            " reason, type, request_id, received_at, claims, crashes)"
            " VALUES (gen_random_uuid(), 'ses', gen_random_uuid(), 'notification', '', %s,"
            " 'received', '', '', '', now(), 0, 0)",
            [
                [send_event(copy)]
                for copy in copies
                if copy["tags"]["telling"] == telling and "policy" not in copy["tags"]
            ],
        )


class Aftermath:
    """A copy of the scene in which another worker goes on by one of the policies."""

    def __init__(self, database, policy):
        self.database = database
        self.policy = policy

    def begin(self):
        """All of the dead workers' leases end together, so that one wait serves every point."""
        self.database.run(
            "UPDATE emails SET tags = tags || jsonb_build_object('policy', %s::text)", self.policy
        )
        self.database.run(
            "UPDATE emails SET next_attempt_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE status = 'sending'",
            LEASE,
        )
        ((self._begun,),) = self.database.run("SELECT clock_timestamp()")

    def has_waited(self):
        """Whether nothing happens any more until SES says something or an operator decides."""
        return not self.database.run("SELECT id FROM emails WHERE next_attempt_at IS NOT NULL")

    def has_heard(self):
        """Whether every callback was taken in and every event handed on."""
        return self.has_waited() and not self.database.run(
            "SELECT id FROM provider_events WHERE state <> 'processed'"
            " UNION ALL SELECT id FROM events WHERE next_attempt_at IS NOT NULL"
        )

    def fates(self, copies):
        """By point and telling, how many mails had which fate; `copies` are all that SES took."""
        ours = [copy for copy in copies if copy["tags"].get("policy", self.policy) == self.policy]
        taken = Counter(copy["tags"]["opensend_email_id"] for copy in ours)
        paths = _grouped(self.database.run("SELECT email_id, status FROM history ORDER BY number"))
        events = _grouped(
            self.database.run(
                "SELECT fact.email_id, event.type FROM events AS event"
                " LEFT JOIN email_events AS fact ON fact.id = event.id ORDER BY event.id"
            )
        )
        found = defaultdict(Counter)
        for key, point, telling in self.database.run(
            "SELECT id, tags->>'point', tags->>'telling' FROM emails"
        ):
            fate = Fate(tuple(paths[key]), taken[str(key)], tuple(events[key]))
            found[point, telling][fate] += 1
        return dict(found)

    def haste(self):
        """Seconds of the leases, and of the graces, that ended too soon."""
        leases = self.database.run(
            "SELECT at - %s FROM history WHERE status = 'unknown'", self._begun
        )
        graces = self.database.run(
            "SELECT again.at - doubt.at FROM history AS doubt JOIN history AS again"
            " USING (email_id) WHERE doubt.status = 'unknown' AND again.status = 'queued'"
        )
        # The clocks are read at the beginning and at the end of transactions.
        return [each for each in _seconds(leases) if each < LEASE - 1] + [
            each for each in _seconds(graces) if each < GRACE - 1
        ]

    def wrong_bodies(self):
        """Events that are not what the catalogue says of their type."""
        wrong = []
        for (body,) in self.database.run("SELECT body FROM events"):
            try:
                check(json.loads(body))
            except AssertionError as error:
                wrong.append(str(error))
        return wrong


def _grouped(rows):
    found = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return found


def _seconds(rows):
    return [each.total_seconds() for (each,) in rows]
