"""Settings that can't work stop the start, with their names."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from opensend.checks import check_settings, require_valid_settings

ROOT = Path(__file__).resolve().parents[2]
ARN = "arn:aws:sns:us-east-1:123456789012:opensend-events"


def wrong(settings, **changes):
    settings.SECRET_KEY, settings.TRACKING_KEYS = "x" * 50, ["y" * 50]
    settings.ALLOWED_HOSTS = ["*"]
    for name, value in changes.items():
        setattr(settings, name, value)
    return [error.msg for error in check_settings()]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"EMAIL_PROVIDER": "sess"}, "EMAIL_PROVIDER"),
        ({"EMAIL_PROVIDER": "no.such.Provider"}, "EMAIL_PROVIDER"),
        ({"EMAIL_PROVIDER": "smtp", "SMTP_URL": ""}, "SMTP_URL"),
        ({"SMTP_URL": "http://relay.example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://relay.example.com"}, "SMTP_URL"),
        ({"SEND_UNKNOWN_POLICY": "resent"}, "SEND_UNKNOWN_POLICY"),
        ({"ENCRYPTION_KEYS": []}, "ENCRYPTION_KEYS"),
        (
            {"ENCRYPTION_KEYS": ["A" * 43 + "=", "short"]},
            "ENCRYPTION_KEYS",
        ),
        ({"TRACKING_KEYS": []}, "TRACKING_KEYS"),
        ({"SES_EVENTS_SNS_TOPIC_ARN": [ARN, "opensend-events"]}, "SES_EVENTS_SNS_TOPIC_ARN"),
        ({"SES_EVENTS_SNS_TOPIC_ARN": [ARN + " "]}, "SES_EVENTS_SNS_TOPIC_ARN"),
        ({"BASE_URL": "mail.example.com"}, "BASE_URL"),
        ({"BASE_URL": "http://mail.example.com", "LOCAL_MODE": False}, "BASE_URL"),
        ({"SEND_LEASE": timedelta(seconds=30), "LOCAL_MODE": False}, "SEND_LEASE"),
        ({"BLOB_STORE": "s3:///prefix"}, "BLOB_STORE"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings, changes, named):
    settings.BASE_URL = "https://mail.example.com"
    (message,) = wrong(settings, **changes)
    assert message.startswith(f"{named} ")
    with pytest.raises(ImproperlyConfigured, match=f"^{named} "):
        require_valid_settings()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"EMAIL_PROVIDER": "smtp", "SMTP_URL": "smtps://u:p@relay.example.com"},
        {"EMAIL_PROVIDER": "emails.providers.ses.SesProvider"},
        {"SEND_UNKNOWN_POLICY": "hold"},
        {"SES_EVENTS_SNS_TOPIC_ARN": []},
        {"SES_EVENTS_SNS_TOPIC_ARN": [ARN, ARN.replace("aws", "aws-cn")]},
        {"BLOB_STORE": "s3://bucket"},
        {"BASE_URL": "https://mail.example.com", "LOCAL_MODE": False},
    ],
    ids=str,
)
def test_what_works_is_not_refused(settings, changes):
    assert wrong(settings, **changes) == []


def test_production_needs_its_keys():
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LOCAL_MODE", "ENCRYPTION_KEYS", "TRACKING_KEYS")
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environment | {"BASE_URL": "https://mail.example.com"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "ENCRYPTION_KEYS is needed" in done.stderr
    assert "TRACKING_KEYS is needed" in done.stderr
