"""A worker is killed before, during and after the provider call: no mail is lost or stuck, and
one goes twice only where docs/reliability.md says so."""

import os
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from tests.journey.product_running import wait_until
from tests.reliability import tables
from tests.reliability.crash_scene import (
    GRACE,
    IN_BATCH,
    POINTS,
    POLICIES,
    SWEEPS,
    TELLINGS,
    Aftermath,
    Fate,
    Scene,
    accept_mail,
    tell,
)
from tests.reliability.installation import Broker, Databases, Twin, Worker

# The suite makes a database only when a test says that it uses it.
pytestmark = [pytest.mark.chaos, pytest.mark.django_db]

SENT = ("email.sent",)
PLAIN = Fate(("sending", "sent"), 1, SENT)
AGAIN = ("sending", "unknown", "queued", "sending", "sent")
HELD = ("sending", "unknown")


@pytest.fixture(scope="module")
def databases(django_db_setup):
    made = Databases(os.environ["DATABASE_URL"])
    yield made
    made.drop()


@pytest.fixture(scope="module")
def broker():
    ours = Broker(_redis_url())
    yield ours
    ours.close()


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    running = Twin(tmp_path_factory.mktemp("twin"), domain="example.com")
    running.fault(send_rate=10_000)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def start(databases, broker, twin):
    """`start(queue, database)`: a worker; it needs its database when its first task comes."""
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
def aftermaths(start, databases, broker, twin, django_db_blocker):
    """By policy, the database of a worker that came after those that died, and the twin's mail."""
    crashing = databases.name("crashing")
    after = {policy: Aftermath(databases.name(policy), policy) for policy in POLICIES}
    victims = {point: start(f"victim-{point}", crashing) for point in POINTS}
    heirs = [start(f"heir-{policy}", each.database, policy) for policy, each in after.items()]

    connection.close()
    databases.copy(connection.settings_dict["NAME"], crashing)
    with django_db_blocker.unblock(), _django_in(crashing):
        accept_mail(_api())
    scene = Scene(crashing, twin, broker)
    for point, victim in victims.items():
        scene.end(victim, point)
    first = twin.mail()
    tell(crashing, first, telling="early")
    for each in after.values():
        databases.copy(crashing.name, each.database)
    for each in after.values():
        each.begin()
    with broker.beating(SWEEPS, [heir.queue for heir in heirs]):
        for policy, each in after.items():
            wait_until(each.has_waited, seconds=60, what=f"the end of waiting ({policy})")
            tell(each.database, first, telling="late")
        for policy, each in after.items():
            wait_until(each.has_heard, seconds=60, what=f"the end of all work ({policy})")
    return after, twin.mail()


def _redis_url():
    """Not the suite's own database."""
    return urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path="/9"))


@contextmanager
def _django_in(database):
    """Django's connection leads to that database in this block."""
    name = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = database.name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name


def _api():
    """The client of a customer with a verified example.com."""
    from rest_framework.test import APIClient

    from accounts.services import create_api_key, create_workspace
    from domains.models import Domain

    workspace = create_workspace(name="Alice's")
    Domain.objects.create(
        workspace=workspace,
        name="example.com",
        status=Domain.Status.VERIFIED,
        region="us-east-1",
        next_attempt_at=None,
    )
    _, token = create_api_key(workspace=workspace, name="alice")
    return APIClient(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def fates(aftermaths):
    """(point, telling, policy) -> the one fate that all such mails had."""
    after, copies = aftermaths
    found = {
        (point, telling, policy): counted
        for policy, each in after.items()
        for (point, telling), counted in each.fates(copies).items()
    }
    mixed = {
        key: counted for key, counted in found.items() if list(counted.values()) != [1 + IN_BATCH]
    }
    assert mixed == {}
    return {key: next(iter(counted)) for key, counted in found.items()}


EXPECTED = {
    ("before", "resend"): dict.fromkeys(TELLINGS, Fate(AGAIN, 1, SENT)),
    ("before", "hold"): dict.fromkeys(TELLINGS, Fate(HELD, 0, ())),
    **{
        (point, "resend"): {
            "early": PLAIN,
            "late": Fate(AGAIN, 2, SENT),
            "never": Fate(AGAIN, 2, SENT),
        }
        for point in ("during", "after")
    },
    **{
        (point, "hold"): {
            "early": PLAIN,
            "late": Fate((*HELD, "sent"), 1, SENT),
            "never": Fate(HELD, 1, ()),
        }
        for point in ("during", "after")
    },
    **{
        (point, policy): dict.fromkeys(TELLINGS, PLAIN)
        for point in ("committed", "asked")
        for policy in POLICIES
    },
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("point", POINTS)
def test_what_becomes_of_mail_over_which_a_worker_died(fates, point, policy):
    found = {telling: fates[point, telling, policy] for telling in TELLINGS}
    assert found == EXPECTED[point, policy]


def test_nothing_is_done_before_its_time(aftermaths):
    """A send is in doubt from its lease's end on, and goes again after the grace."""
    after, _ = aftermaths
    assert [each.haste() for each in after.values()] == [[] for _ in after]


def test_what_was_published_is_what_the_catalogue_says(aftermaths):
    after, _ = aftermaths
    assert [wrong for each in after.values() for wrong in each.wrong_bodies()] == []


def test_the_page_says_what_was_found(fates):
    rows = []
    for point, told in POINTS.items():
        for tellings, by_policy in _alike(fates, point):
            when = "in any case" if len(tellings) == len(TELLINGS) else " or ".join(tellings)
            rows.append([told, when, *map(_shown, by_policy)])
    header = ["The worker is", "The Send event comes", "`resend`", "`hold`"]
    tables.check("crashes", header, rows)


def _alike(fates, point):
    """(tellings, fates by policy), those that made no difference together."""
    groups = {}
    for telling in TELLINGS:
        by_policy = tuple(fates[point, telling, policy] for policy in POLICIES)
        groups.setdefault(by_policy, []).append(telling)
    return [(tellings, by_policy) for by_policy, tellings in groups.items()]


def _shown(fate):
    copies = {0: "no copy", 1: "1 copy"}.get(fate.copies, f"**{fate.copies} copies**")
    return f"{' → '.join(f'`{status}`' for status in fate.path)}; {copies}"
