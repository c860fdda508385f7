"""A worker is killed before, during and after the provider call: no mail is lost or stuck, and mail
is sent twice only where docs/reliability.md says so."""

import os
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from accounts.services import create_api_key, create_workspace
from tests.clients import client_for, wait_until
from tests.factories import verified_domain
from tests.reliability import tables
from tests.reliability.crash_scene import (
    ARRIVALS,
    GRACE,
    IN_BATCH,
    POINTS,
    POLICIES,
    SWEEPS,
    Outcome,
    Recovery,
    Scene,
    accept_mail,
    store_send_events,
)
from tests.reliability.installation import Broker, Databases, Worker
from tests.twin.twin_running import RunningTwin

# pytest-django creates the test database only if a test requests it.
pytestmark = [pytest.mark.chaos, pytest.mark.django_db]

SENT = ("email.sent",)
SENT_ONCE = Outcome(("sending", "sent"), 1, SENT)
RESENT = ("sending", "unknown", "queued", "sending", "sent")
UNKNOWN = ("sending", "unknown")


@pytest.fixture(scope="module")
def databases(django_db_setup):
    created = Databases(os.environ["DATABASE_URL"])
    yield created
    created.drop()


@pytest.fixture(scope="module")
def broker():
    broker = Broker(_redis_url())
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    running = RunningTwin.start(tmp_path_factory.mktemp("twin"))
    running.post("identities", {"name": "example.com"}).raise_for_status()
    running.fault(send_rate=10_000)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def start(databases, broker, twin):
    """`start(queue, database)`: a worker; it connects to its database with its first task."""
    started = []

    def run(queue, database, policy="resend"):
        worker = Worker(
            queue,
            DATABASE_URL=database.url,
            REDIS_URL=_redis_url(),
            AWS_ENDPOINT_URL=twin.url,
            SEND_RATE_UNTIL_KNOWN="10000",
            SEND_UNKNOWN_GRACE=str(GRACE),
            SEND_UNKNOWN_POLICY=policy,
        )
        started.append(worker)
        return worker

    yield run
    for worker in started:
        worker.kill()


@pytest.fixture(scope="module")
def recoveries(start, databases, broker, twin, django_db_blocker):
    """({policy: its recovery after the crashes}, all copies that the twin accepted)"""
    crashing = databases.name("crashing")
    recoveries = {policy: Recovery(databases.name(policy), policy) for policy in POLICIES}
    victims = {point: start(f"victim-{point}", crashing) for point in POINTS}
    successors = [
        start(f"successor-{policy}", each.database, policy) for policy, each in recoveries.items()
    ]

    connection.close()
    databases.copy(connection.settings_dict["NAME"], crashing)
    with django_db_blocker.unblock(), _django_in(crashing):
        workspace = create_workspace(name="Alice's")
        verified_domain(workspace)
        accept_mail(client_for(create_api_key(workspace=workspace, name="alice")[1]))
    scene = Scene(crashing, twin, broker)
    for point, victim in victims.items():
        scene.stop(victim, point)
    copies = twin.mail(raw="false")
    store_send_events(crashing, copies, arrival="early")
    for each in recoveries.values():
        databases.copy(crashing.name, each.database)
    for each in recoveries.values():
        each.begin()
    with broker.beating(SWEEPS, [successor.queue for successor in successors]):
        for policy, each in recoveries.items():
            wait_until(each.is_idle, seconds=60, what=f"the end of leases and grace ({policy})")
            store_send_events(each.database, copies, arrival="late")
        for policy, each in recoveries.items():
            wait_until(each.is_finished, seconds=60, what=f"the end of all work ({policy})")
    return recoveries, twin.mail(raw="false")


def _redis_url():
    """A Redis database other than the suite's own."""
    return urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path="/9"))


@contextmanager
def _django_in(database):
    """Django connects to that database in this block."""
    name = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = database.name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name


@pytest.fixture(scope="module")
def outcomes(recoveries):
    """{(point, arrival, policy): the one outcome that all such mails had}"""
    by_policy, copies = recoveries
    found = {
        (point, arrival, policy): counted
        for policy, each in by_policy.items()
        for (point, arrival), counted in each.outcomes(copies).items()
    }
    mixed = {
        key: counted for key, counted in found.items() if list(counted.values()) != [1 + IN_BATCH]
    }
    assert mixed == {}
    return {key: next(iter(counted)) for key, counted in found.items()}


EXPECTED = {
    ("before", "resend"): dict.fromkeys(ARRIVALS, Outcome(RESENT, 1, SENT)),
    ("before", "hold"): dict.fromkeys(ARRIVALS, Outcome(UNKNOWN, 0, ())),
    **{
        (point, "resend"): {
            "early": SENT_ONCE,
            "late": Outcome(RESENT, 2, SENT),
            "never": Outcome(RESENT, 2, SENT),
        }
        for point in ("during", "after")
    },
    **{
        (point, "hold"): {
            "early": SENT_ONCE,
            "late": Outcome((*UNKNOWN, "sent"), 1, SENT),
            "never": Outcome(UNKNOWN, 1, ()),
        }
        for point in ("during", "after")
    },
    **{
        (point, policy): dict.fromkeys(ARRIVALS, SENT_ONCE)
        for point in ("committed", "stopped")
        for policy in POLICIES
    },
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("point", POINTS)
def test_the_outcome_of_mail_that_a_crashed_worker_was_sending(outcomes, point, policy):
    found = {arrival: outcomes[point, arrival, policy] for arrival in ARRIVALS}
    assert found == EXPECTED[point, policy]


def test_leases_and_grace_periods_are_waited_for(recoveries):
    """A send becomes unknown when its lease expires, and is repeated after the grace period."""
    by_policy, _ = recoveries
    assert [each.too_short() for each in by_policy.values()] == [[] for _ in by_policy]


def test_published_events_match_the_catalogue(recoveries):
    by_policy, _ = recoveries
    assert [error for each in by_policy.values() for error in each.invalid_events()] == []


def test_the_page_has_the_measured_outcomes(outcomes):
    rows = []
    for point, description in POINTS.items():
        for arrivals, by_policy in _grouped(outcomes, point):
            is_any = len(arrivals) == len(ARRIVALS)
            when = "at any time or never" if is_any else " or ".join(arrivals)
            rows.append([description, when, *map(_rendered, by_policy)])
    header = ["The worker is", "The Send event arrives", "`resend`", "`hold`"]
    tables.check("crashes", header, rows)


def _grouped(outcomes, point):
    """[(arrivals, outcomes by policy)], arrivals with equal outcomes together."""
    groups = {}
    for arrival in ARRIVALS:
        by_policy = tuple(outcomes[point, arrival, policy] for policy in POLICIES)
        groups.setdefault(by_policy, []).append(arrival)
    return [(arrivals, by_policy) for by_policy, arrivals in groups.items()]


def _rendered(outcome):
    copies = {0: "no copy", 1: "1 copy"}.get(outcome.copies, f"**{outcome.copies} copies**")
    return f"{' → '.join(f'`{status}`' for status in outcome.path)}; {copies}"
