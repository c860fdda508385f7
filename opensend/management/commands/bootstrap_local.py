"""The database of `make run`: a workspace, a verified domain, an API key and an admin user."""

import os
import secrets
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
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
# 100 retries within an hour, the maximum of SNS (AWS, "Amazon SNS message delivery retries"), so a
# restart loses no events.
DELIVERY_POLICY = {
    "healthyRetryPolicy": {
        "minDelayTarget": 1,
        "maxDelayTarget": 40,
        "numRetries": 100,
        "numNoDelayRetries": 2,
        "backoffFunction": "exponential",
    }
}
CONFIRMATION_TIMEOUT = 30.0  # seconds


class Command(BaseCommand):
    help = "Migrate and seed a local installation that uses the AWS twin. Safe to run repeatedly."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--subscribe",
            action="store_true",
            help="subscribe /events/ses to the SNS topic of SES events, and wait until confirmed",
        )

    def handle(self, *, subscribe: bool, **options: Any) -> None:
        if not (settings.LOCAL_MODE and settings.AWS_ENDPOINT_URL):
            raise CommandError(
                "This command needs LOCAL_MODE=true and an AWS_ENDPOINT_URL that is not AWS."
            )
        topic = settings.SES_EVENTS_SNS_TOPIC_ARN[0]
        if subscribe:
            _subscribe(topic)
            return
        # In this process, since each start of one takes a few seconds.
        call_command("migrate", interactive=False, stdout=self.stdout)
        _provision(topic)
        _write_bootstrap(topic, _seed())


def _provision(topic: str) -> None:
    """Create the topics, the configuration set and its event destination, in SES's order."""
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
    """Create missing rows; returns the API key and password, old or new, for BOOTSTRAP_FILE."""
    known = _read_bootstrap()
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
    # The twin may have lost the identity; without tokens, `establish` creates it again.
    domain.dkim_tokens = []
    domains.verify_domain(domain)


def _subscribe(topic: str) -> None:
    """Subscribe, and wait until our endpoint has confirmed the subscription."""
    sns = aws.sns(settings.AWS_REGION)
    endpoint = f"{settings.BASE_URL}/events/ses"
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    confirmed = {
        each["Endpoint"] for each in subscriptions if each["SubscriptionArn"].startswith("arn:")
    }
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
    deadline = time.monotonic() + CONFIRMATION_TIMEOUT
    while not confirmations.exists():
        if time.monotonic() > deadline:
            raise CommandError(f"{endpoint} did not confirm the subscription to {topic}.")
        time.sleep(0.1)


def _bootstrap_file() -> Path:
    return Path(os.environ.get("BOOTSTRAP_FILE", settings.VAR_DIR / "bootstrap.json"))


def _read_bootstrap() -> dict[str, Any]:
    path = _bootstrap_file()
    bootstrap: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
    return bootstrap


def _write_bootstrap(topic: str, seeded: dict[str, Any]) -> None:
    inbound = f"{topic.rpartition(':')[0]}:{INBOUND_TOPIC}"
    bootstrap = seeded | {
        "domain": DOMAIN,
        "sns_events_topic_arn": topic,
        "sns_inbound_topic_arn": inbound,
    }
    path = _bootstrap_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(bootstrap))
