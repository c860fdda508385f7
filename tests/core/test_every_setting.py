"""Wrong values of every setting stop every process by name; what .env.example shows works."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from opensend.checks import check_settings

ROOT = Path(__file__).resolve().parents[2]
ARN = "arn:aws:sns:us-east-1:123456789012:opensend-events"
KEY = "A" * 43 + "="
PRODUCTION = {
    "SECRET_KEY": "x" * 50,
    "BASE_URL": "https://mail.example.com",
    "ALLOWED_HOSTS": "mail.example.com",
    "ENCRYPTION_KEYS": KEY,
    "DATABASE_URL": "postgres://opensend:password@localhost/opensend",
    "REDIS_URL": "redis://localhost:6379/0",
    "TRACKING_KEYS": "y" * 32,
    "SES_EVENTS_SNS_TOPIC_ARN": ARN,
    "OPERATOR_EMAILS": "ada@example.com",
    "OPERATOR_EMAIL_FROM": "notices@example.com",
}
YES_OR_NO = "it must be `true` or `false`"
AT_LEAST_1 = "it must be a whole number of at least 1"

# The variable, wrong values, and what the message says about what it may be.
WRONG = [
    ("LOCAL_MODE", ["ture", "2", "enabled"], YES_OR_NO),
    ("SECRET_KEY", ["", "  ", "short"], "random characters"),
    ("BASE_URL", ["", "mail.example.com", "ftp://mail.example.com"], "https://"),
    ("BASE_URL", ["http://mail.example.com", "https://mail.example.com:port"], "https://"),
    ("BASE_URL", ["https://mail.example.com/opensend"], "without a path"),
    ("ALLOWED_HOSTS", ["https://mail.example.com", "mail.example.com:443", "a b"], "list hosts"),
    ("ALLOWED_HOSTS", ["other.example.com"], "must contain mail.example.com"),
    ("BEHIND_TLS_PROXY", ["yes!"], YES_OR_NO),
    ("CSRF_TRUSTED_ORIGINS", ["a.example.com", "https://a.example.com,b"], "list origins"),
    ("VAR_DIR", ["/etc/passwd"], "must be a folder"),
    ("ENCRYPTION_KEYS", ["", "abc", f"{KEY},abc"], "ENCRYPTION_KEYS"),
    ("SERVICE", ["x" * 64, "dienst-ä"], "1 to 63 ASCII characters"),
    ("DATABASE_URL", ["", "opensend", "mysql://a/b", "sqlite:///x", "http://a/b"], "postgres://"),
    ("DATABASE_URL", ["postgres://host:port/x", "postgres://host", "postgres://"], "postgres://"),
    ("DATABASE_URL", ["postgres://host/x?ssl_mode=require"], 'option "ssl_mode"'),
    ("DATABASE_URL", ["postgres://host/x?sslmode=on"], "has sslmode=on; it must be one of disable"),
    ("DATABASE_URL", ["postgres://host/x?connect_timeout=3s"], "has connect_timeout=3s; it must"),
    ("DATABASE_POOL_SIZE", ["-1", "many", "1.5", "100000"], "from 0 to 1,000"),
    ("DATABASE_PREPARED_STATEMENTS", ["maybe"], YES_OR_NO),
    ("REDIS_URL", ["", "localhost:6379", "http://localhost", "redis://localhost:x"], "redis://"),
    ("REDIS_URL", ["unix:///run/redis.sock", "redis://h/opensend", "redis://h?db=1"], "redis://"),
    ("API_MAX_BODY_BYTES", ["0", "-1", "64 MiB", "1e6"], AT_LEAST_1),
    ("API_RATE_LIMIT", ["-1", "unlimited"], "it must be a whole number of at least 0"),
    ("API_RATE_BURST", ["0", "-5"], AT_LEAST_1),
    ("IDEMPOTENCY_RETENTION_HOURS", ["0", "-1", "nan", "inf", "1d"], "a number, more than 0"),
    ("API_AUTH_FAILURE_LIMIT", ["-1", "few"], "a whole number of at least 0"),
    ("LOGIN_FAILURE_LIMIT", ["0", "-1", "five"], AT_LEAST_1),
    ("LOGIN_LOCKOUT", ["0", "15m"], AT_LEAST_1),
    ("HSTS_SECONDS", ["-1", "1y"], "a whole number of at least 0"),
    ("WEB_THREADS", ["0", "-1", "1000"], "from 1 to 256"),
    ("WEB_WORKERS", ["0", "two", "1000"], "from 1 to 256"),
    ("BLOB_STORE", ["s3://", "s3:///prefix", "s3://Bad_Bucket/x"], "must name a bucket"),
    ("BLOB_STORE", ["gs://bucket", "file:///blobs"], "a folder or s3://"),
    ("BLOB_STORE", ["/etc/passwd"], "must be a folder"),
    ("AWS_REGION", ["useast1", "us-east", "EU-WEST-1", "us-east-1a"], "a region such as"),
    ("AWS_ENDPOINT_URL", ["localhost:4566", "ftp://aws"], "an http(s) URL, or empty"),
    ("EMAIL_PROVIDER", ["sess", "SES"], "must be one of ses, smtp"),
    ("EMAIL_PROVIDER", ["no.such.Provider"], "can't be imported"),
    ("SMTP_URL", ["relay.example.com", "http://relay", "smtps://relay:x"], "SMTP_URL "),
    ("SMTP_URL", ["smtp://relay.example.com"], "any other host needs TLS"),
    ("SMTP_RATE", ["-1", "nan", "fast"], "a number, at least 0"),
    ("SES_CONFIGURATION_SET", ["open send", "x" * 65, "arn:aws:ses"], "up to 64 letters"),
    ("SEND_CONCURRENCY", ["0", "-1", "100000"], "from 1 to 1,000"),
    ("SEND_RATE_UNTIL_KNOWN", ["0", "-1", "nan"], "a number, more than 0"),
    ("SEND_LEASE", ["-1", "0", "1m", "100000"], "from 1 to 3,600"),
    ("SEND_LEASE", ["59"], "at least 60 seconds"),
    ("SEND_GIVE_UP_AFTER_HOURS", ["0", "-24", "0.5"], "from 1 to 720"),
    ("SEND_UNKNOWN_GRACE", ["0", "-1", "10m"], "from 1 to 86,400"),
    ("SEND_UNKNOWN_POLICY", ["Hold", "resent"], "must be `resend` or `hold`"),
    ("HOLD_MAX_AGE_HOURS", ["0", "-72"], "from 1 to 8,760"),
    ("ATTACHMENT_ALLOW_HTTP", ["sometimes"], YES_OR_NO),
    ("ATTACHMENT_ALLOWED_NETWORKS", ["10.0.0.0/33", "10.0.0.1/8", "intranet"], "networks such"),
    ("ATTACHMENT_BYTES_IN_FLIGHT", ["0", "128M"], AT_LEAST_1),
    ("OPERATOR_EMAILS", ["ada", "ada@example.com,bob"], "no mailbox such as"),
    ("OPERATOR_EMAIL_FROM", ["notices"], "no mailbox such as"),
    ("OPERATOR_EMAIL_FROM", [""], "is needed, because OPERATOR_EMAILS is set"),
    ("TRACKING_KEYS", ["", "short", f"{'y' * 32},short"], "TRACKING_KEYS"),
    ("HIT_RETENTION_DAYS", ["0", "-30", "forever"], "a number, more than 0"),
    ("SES_EVENTS_SNS_TOPIC_ARN", ["opensend-events", f"{ARN},x"], "no topic ARN such as"),
    ("SNS_REQUIRE_SIGNATURE_V2", ["v2"], YES_OR_NO),
    ("SNS_MAX_AGE", ["0", "-1", "2h"], "from 1 to 86,400"),
    ("INGEST_BATCH", ["0", "-1", "1000000"], "from 1 to 10,000"),
    ("INGEST_UNMATCHED_FOR", ["-1", "1h"], "from 0 to 86,400"),
    ("WEBHOOK_ALLOW_HTTP", ["tru"], YES_OR_NO),
    ("WEBHOOK_ALLOWED_NETWORKS", ["300.0.0.0/8", "fd00::/129"], "networks such"),
    ("WEBHOOK_TIMEOUT", ["0", "-1", "nan", "600"], "a number, more than 0 and at most 120"),
    ("WEBHOOK_CONCURRENCY", ["0", "-1", "1000000"], "from 1 to 10,000"),
    ("WEBHOOK_PER_ENDPOINT", ["0", "-1"], AT_LEAST_1),
    ("EVENT_RETENTION_DAYS", ["0", "-1", "nan", "1e9"], "a number, more than 0"),
    ("ATTEMPT_RETENTION_DAYS", ["0", "-1", "1e99"], "a number, more than 0"),
    ("PROVIDER_EVENT_RETENTION_DAYS", ["0", "90d"], "a number, more than 0"),
    ("EMAIL_CONTENT_RETENTION_DAYS", ["0", "-1", "never"], "a number, more than 0"),
    ("EMAIL_RETENTION_DAYS", ["0", "-1", "1e9"], "a number, more than 0"),
    ("SWEEP_INTERVAL", ["0", "-5", "inf", "86400"], "a number, more than 0 and at most 300"),
    ("WORKER_CONCURRENCY", ["0", "-2", "auto"], "from 1 to 256"),
    ("SENDING_PROCESSES", ["0", "two"], "from 1 to 256"),
    ("WEBHOOK_PROCESSES", ["0", "1000"], "from 1 to 256"),
    ("PROMETHEUS_MULTIPROC_DIR", ["/proc/metrics", "/etc/passwd"], "a folder that can"),
    ("LOG_LEVEL", ["VERBOSE", "debug"], "must be one of DEBUG, INFO"),
]
COMMANDS = {
    "check": ["manage.py", "check"],
    "web": ["-m", "opensend.web"],
    "worker": ["-m", "celery", "-A", "opensend", "worker", "--pool", "solo"],
    "beat": ["-m", "celery", "-A", "opensend", "beat"],
}
EXAMPLE = re.compile(r"^(# )?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


@pytest.fixture
def problems(monkeypatch):
    """`problems(NAME="value")`: what the checks say in a process with this environment."""
    for name in set(os.environ) & {name for name, _, _ in WRONG}:
        monkeypatch.delenv(name)

    def find(**environment):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            module = runpy.run_path(str(ROOT / "opensend" / "settings.py"))
        # No check reads DATABASES, and Django warns when it is overridden.
        read = {name: module[name] for name in module if name.isupper() and name != "DATABASES"}
        with override_settings(**read):
            return [error.msg for error in check_settings()]

    return find


def failure(command, environment):
    """What a process that must not start prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [(name, value, rule) for name, values, rule in WRONG for value in values],
)
def test_a_wrong_value_is_refused_with_what_it_may_be(problems, name, value, rule):
    (message,) = problems(**PRODUCTION | {name: value})
    assert message.startswith(f"{name} ")
    assert rule in message


def test_the_table_has_every_setting():
    shown = (ROOT / ".env.example").read_text()
    assert {name for name, _, _ in WRONG} == {match[2] for match in EXAMPLE.finditer(shown)}


def test_secrets_are_not_printed(problems):
    hidden = "hunter2"
    messages = problems(
        **PRODUCTION
        | {
            "SECRET_KEY": hidden,
            "TRACKING_KEYS": hidden,
            "ENCRYPTION_KEYS": hidden,
            "DATABASE_URL": f"mysql://u:{hidden}@db/x",
            "REDIS_URL": f"http://u:{hidden}@redis",
            "SMTP_URL": f"http://u:{hidden}@relay",
        }
    )
    assert len(messages) == 6
    assert hidden not in "".join(messages)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_process_stops_and_names_every_wrong_setting(command):
    names = {name for name, _, _ in WRONG}
    wrong = {name: values[0] for name, values, _ in reversed(WRONG)}
    # Read like the settings of a laptop, some of these would be right.
    wrong |= {"LOCAL_MODE": "ture", "BASE_URL": "mail.example.com", "SEND_LEASE": "-1"}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    output = failure(command, kept | wrong)
    assert [name for name in sorted(names) if f"{name} " not in output] == []


@pytest.mark.parametrize(
    "wrong",
    [{"PROMETHEUS_MULTIPROC_DIR": "/etc/passwd"}, {"SENDING_PROCESSES": "0"}, {"AWS_REGION": "eu"}],
    ids=str,
)
def test_the_parent_of_all_workers_stops_as_well(wrong):
    (name,) = wrong
    assert f"{name} is `" in failure(["-m", "opensend.worker"], os.environ | wrong)


def test_the_example_is_refused_only_for_the_secrets_it_leaves_out(problems):
    shown = EXAMPLE.findall((ROOT / ".env.example").read_text())
    example = {name: value for comment, name, value in shown if not comment}
    messages = problems(**example)
    assert sorted(message.split()[0] for message in messages) == [
        "ENCRYPTION_KEYS",
        "SECRET_KEY",
        "TRACKING_KEYS",
    ]
    secrets = {
        name: PRODUCTION[name] for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "TRACKING_KEYS")
    }
    assert problems(**example | secrets) == []


def test_every_value_shown_in_the_example_is_accepted(problems):
    shown = EXAMPLE.findall((ROOT / ".env.example").read_text())
    everything = {name: value for _, name, value in shown}
    assert problems(**everything | PRODUCTION) == []


@pytest.mark.parametrize(
    "right",
    [
        {"LOCAL_MODE": "TRUE", "BASE_URL": "http://127.0.0.1:8000", "ALLOWED_HOSTS": ""},
        {"BASE_URL": "https://mail.example.com/", "ALLOWED_HOSTS": ".example.com"},
        {"BASE_URL": "https://[2001:db8::1]", "ALLOWED_HOSTS": "[2001:db8::1], localhost"},
        {"ALLOWED_HOSTS": ""},
        {"ALLOWED_HOSTS": "*"},
        {"BEHIND_TLS_PROXY": "1", "WEBHOOK_ALLOW_HTTP": "off", "SNS_REQUIRE_SIGNATURE_V2": "Yes"},
        {"DATABASE_URL": "postgresql:///opensend?host=/run/postgresql", "DATABASE_POOL_SIZE": "0"},
        {"REDIS_URL": "rediss://:password@redis.example.com:6380/1"},
        {"REDIS_URL": "redis://localhost"},
        {
            "DATABASE_URL": "postgres://db/x?sslmode=verify-full&connect_timeout=3&application_name=a"
        },
        {"API_RATE_LIMIT": "0", "SMTP_RATE": "0", "INGEST_UNMATCHED_FOR": "0"},
        {"BLOB_STORE": "./blobs", "EVENT_RETENTION_DAYS": "0.001", "SWEEP_INTERVAL": "0.5"},
        {"SES_EVENTS_SNS_TOPIC_ARN": f" {ARN} , {ARN.replace('aws', 'aws-cn')}"},
        {"AWS_REGION": "us-gov-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"OPERATOR_EMAILS": "ada@example.com", "OPERATOR_EMAIL_FROM": "Notices <n@example.com>"},
        {name: "" for name, _, _ in WRONG if name not in PRODUCTION},
    ],
    ids=str,
)
def test_what_works_is_accepted(problems, right):
    assert problems(**PRODUCTION | right) == []
