"""What `make run` needs to be useful at once: a tenant, a verified domain, a key, an operator."""

import os
import secrets
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from accounts import services as accounts
from accounts.models import Workspace
from core import aws
from domains import services as domains
from domains.models import Domain
from ingest.models import ProviderEvent

WORKSPACE = "Demo"
DOMAIN = "demo.opensend.test"
ADMIN = "admin"
INBOUND_TOPIC = "opensend-inbound"
EVENT_TYPES = [
    "SEND",
    "REJECT",
    "BOUNCE",
    "COMPLAINT",
    "DELIVERY",
    "DELIVERY_DELAY",
    "RENDERING_FAILURE",
    "SUBSCRIPTION",
]
# A hundred tries within an hour, the most that SNS grants (AWS, "Amazon SNS message delivery
# retries"): a restart of ours costs no event.
DELIVERY_POLICY = {
    "healthyRetryPolicy": {
        "minDelayTarget": 1,
        "maxDelayTarget": 40,
        "numRetries": 100,
        "numNoDelayRetries": 2,
        "backoffFunction": "exponential",
    }
}
CONFIRMED_WITHIN = 30.0  # seconds


class Command(BaseCommand):
    help = "Fill a local installation that talks to the stand-in for AWS. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--subscribe",
            action="store_true",
            help="subscribe /events/ses to the topic of SES's events, by the real handshake",
        )

    def handle(self, *, subscribe: bool, **options: Any) -> None:
        if not (settings.LOCAL_MODE and settings.AWS_ENDPOINT_URL):
            raise CommandError(
                "This is for LOCAL_MODE=true and an AWS_ENDPOINT_URL on this machine."
            )
        topic = settings.SES_EVENTS_SNS_TOPIC_ARN[0]
        if subscribe:
            _subscribe(topic)
            return
        _provision(topic)
        _write_facts(topic, _seed())


def _provision(topic: str) -> None:
    """The topics and the configuration set with its event destination; SES wants this order."""
    sns, ses = aws.sns(settings.AWS_REGION), aws.ses(settings.AWS_REGION)
    sns.create_topic(Name=topic.rpartition(":")[2], Attributes={"SignatureVersion": "2"})
    sns.create_topic(Name=INBOUND_TOPIC, Attributes={"SignatureVersion": "2"})
    name = settings.SES_CONFIGURATION_SET
    try:
        ses.create_configuration_set(ConfigurationSetName=name)
    except ses.exceptions.AlreadyExistsException:
        return
    ses.create_configuration_set_event_destination(
        ConfigurationSetName=name,
        EventDestinationName="opensend-events",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": EVENT_TYPES,  # type: ignore[typeddict-item]
            "SnsDestination": {"TopicArn": topic},
        },
    )


def _seed() -> dict[str, Any]:
    """Rows that are missing are made; the key and the password are kept in BOOTSTRAP_FILE."""
    known = _read_facts()
    workspace = Workspace.objects.filter(name=WORKSPACE).first()
    workspace = workspace or accounts.create_workspace(name=WORKSPACE)
    _verified_domain(workspace)
    if not known.get("api_key") or not workspace.api_keys.exists():
        _, known["api_key"] = accounts.create_api_key(workspace=workspace, name="make run")
    users = get_user_model()
    if not known.get("admin") or not users.objects.filter(username=ADMIN).exists():
        password = secrets.token_urlsafe(12)
        user, _ = users.objects.get_or_create(
            username=ADMIN, defaults={"is_staff": True, "is_superuser": True}
        )
        user.set_password(password)
        user.save()
        known["admin"] = {"username": ADMIN, "password": password}
    return known


def _verified_domain(workspace: Workspace) -> None:
    domain = Domain.objects.filter(name=DOMAIN).first()
    domain = domain or domains.create_domain(workspace=workspace, name=DOMAIN)
    # The stand-in may have forgotten the identity: with no tokens it is made anew.
    domain.dkim_tokens = []
    domains.establish(domain)


def _subscribe(topic: str) -> None:
    """Subscribe and wait until our own endpoint has confirmed."""
    sns = aws.sns(settings.AWS_REGION)
    endpoint = f"{settings.BASE_URL}/events/ses"
    found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    confirmed = {each["Endpoint"] for each in found if each["SubscriptionArn"].startswith("arn:")}
    if endpoint in confirmed:
        return
    since = ProviderEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
    sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=endpoint,
        Attributes={"DeliveryPolicy": orjson.dumps(DELIVERY_POLICY).decode()},
    )
    confirmations = ProviderEvent.objects.filter(
        kind=ProviderEvent.Kind.SUBSCRIPTION_CONFIRMED, topic_arn=topic
    )
    if since is not None:
        confirmations = confirmations.filter(pk__gt=since)
    until = time.monotonic() + CONFIRMED_WITHIN
    while not confirmations.exists():
        if time.monotonic() > until:
            raise CommandError(f"{endpoint} did not confirm the subscription to {topic}.")
        time.sleep(0.1)


def _facts_file() -> Path:
    return Path(os.environ.get("BOOTSTRAP_FILE", settings.VAR_DIR / "bootstrap.json"))


def _read_facts() -> dict[str, Any]:
    path = _facts_file()
    facts: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
    return facts


def _write_facts(topic: str, seeded: dict[str, Any]) -> None:
    inbound = f"{topic.rpartition(':')[0]}:{INBOUND_TOPIC}"
    facts = seeded | {
        "domain": DOMAIN,
        "sns_events_topic_arn": topic,
        "sns_inbound_topic_arn": inbound,
    }
    path = _facts_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(facts))
