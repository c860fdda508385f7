"""Connection details of a running stack: `run.json` for programs, a banner for people."""

from __future__ import annotations

import hashlib
import shlex
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstack.services import ROOT

if TYPE_CHECKING:
    from devstack.stack import Stack


def describe(stack: Stack, *, bootstrap: dict[str, Any]) -> dict[str, Any]:
    """The content of `run.json`; null where this run has no such service."""
    env = stack.env
    return {
        "base_url": env.get("BASE_URL"),
        "api_key": bootstrap.get("api_key"),
        "admin": bootstrap.get("admin"),
        "inbound_token": env.get("INGESTER_INBOUND_TOKEN"),
        "job_token": env.get("INGESTER_JOB_TOKEN"),
        "sns_events_topic_arn": bootstrap.get("sns_events_topic_arn"),
        "sns_inbound_topic_arn": bootstrap.get("sns_inbound_topic_arn"),
        "sns_signing": sns_signing(stack.var_dir / "twin") if stack.has_twin else None,
        "twin_url": env.get("AWS_ENDPOINT_URL"),
        "smtp_url": None,
        "database_url": env.get("DATABASE_URL"),
        "redis_url": env.get("REDIS_URL"),
        "pids": stack.pids,
    }


def banner(stack: Stack) -> str:
    """A short text for the terminal, with commands to copy and paste."""
    info = stack.run_info
    base, key = info["base_url"], info["api_key"]
    admin = info["admin"] or {}
    authorization = f"-H 'Authorization: Bearer {key}'"
    mail = (
        '{"from": "hello@demo.opensend.test", "to": ["someone@example.com"],'
        ' "subject": "Hello", "text": "Hi"}'
    )
    make = f"make -sC {shlex.quote(str(ROOT))} VAR_DIR={shlex.quote(str(stack.var_dir))}"
    return f"""
OpenSend is running. Ctrl-C stops it.

  app      {base}
  admin    {base}/admin/   {admin.get("username")} / {admin.get("password")}
  docs     {base}/docs
  twin     {info["twin_url"]}   (simulates AWS; GET /_twin/mail lists sent mail)
  API key  {key}
  more     {stack.var_dir / "run.json"}

Send an email (recipients at bounce.twin.test bounce):
  curl -s {base}/emails {authorization} -H 'Content-Type: application/json' -d '{mail}'

List its events:
  curl -s {base}/emails/EMAIL_ID/events {authorization}

Print webhooks as they arrive, in a second terminal:
  {make} watch

Run a manage.py command (C=help lists them):
  {make} manage C="create_api_key Acme"
"""


def sns_signing(directory: Path) -> dict[str, str | None]:
    """The key that signs the twin's SNS messages, and the SigningCertURL in them."""
    certificate = directory / "sns-cert.pem"
    url = None
    if certificate.exists():
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        name = hashlib.sha256(der).hexdigest()[:32]
        url = f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{name}.pem"
    return {"cert_url": url, "private_key_path": str(directory / "sns-key.pem")}
