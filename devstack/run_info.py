"""What a person and a program need to know of a running stack."""

from __future__ import annotations

import hashlib
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devstack.stack import Stack


def facts(stack: Stack, *, bootstrap: dict[str, Any]) -> dict[str, Any]:
    """The content of `run.json`; null for what this run does not have."""
    env = stack.env
    return {
        "base_url": env.get("BASE_URL"),
        "api_key": bootstrap.get("api_key"),
        "admin": bootstrap.get("admin"),
        "inbound_token": env.get("INGESTER_INBOUND_TOKEN"),
        "job_token": env.get("INGESTER_JOB_TOKEN"),
        "sns_events_topic_arn": bootstrap.get("sns_events_topic_arn"),
        "sns_inbound_topic_arn": bootstrap.get("sns_inbound_topic_arn"),
        "sns_signing": signing(stack.var_dir / "twin") if stack.has_twin else None,
        "twin_url": env.get("AWS_ENDPOINT_URL"),
        "smtp_url": None,
        "database_url": env.get("DATABASE_URL"),
        "redis_url": env.get("REDIS_URL"),
        "pids": stack.pids,
    }


def welcome(stack: Stack) -> str:
    """A short text for the terminal, with commands that can be pasted as they are."""
    known = stack.facts
    base, key = known["base_url"], known["api_key"]
    admin = known["admin"] or {}
    authorization = f"-H 'Authorization: Bearer {key}'"
    mail = (
        '{"from": "hello@demo.opensend.test", "to": ["someone@example.com"],'
        ' "subject": "Hello", "text": "Hi"}'
    )
    return f"""
OpenSend is running. Ctrl-C stops it.

  app      {base}
  admin    {base}/admin/   {admin.get("username")} / {admin.get("password")}
  docs     {base}/docs
  twin     {known["twin_url"]}   (plays AWS; GET /_twin/mail shows what was sent)
  API key  {key}
  more     {stack.var_dir / "run.json"}

Send an email (to somebody @bounce.twin.test it would bounce):
  curl -s {base}/emails {authorization} -H 'Content-Type: application/json' -d '{mail}'

See what happened to it:
  curl -s {base}/emails/EMAIL_ID/events {authorization}

Watch webhooks arrive, in a second terminal:
  {sys.executable} -m devstack.watch {stack.var_dir / "run.json"}
"""


def signing(directory: Path) -> dict[str, str | None]:
    """The key with which the twin signs SNS messages, and the URL it gives for its certificate."""
    certificate = directory / "sns-cert.pem"
    url = None
    if certificate.exists():
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        name = hashlib.sha256(der).hexdigest()[:32]
        url = f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{name}.pem"
    return {"cert_url": url, "private_key_path": str(directory / "sns-key.pem")}
