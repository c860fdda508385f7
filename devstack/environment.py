"""The environment of the product's processes on a machine with nothing configured."""

import base64
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from devstack.embedded import free_port, port_is_free
from devstack.errors import StackError
from devstack.files import read_json, write_json, write_private

_TOPIC = "arn:aws:sns:us-east-1:123456789012:opensend-"


def local_settings(var_dir: Path, *, base_url: str, twin_url: str) -> dict[str, str]:
    """Settings for a local run; the secrets among them are made once and kept in VAR_DIR."""
    return {
        "LOCAL_MODE": "true",
        **_secrets(var_dir / "secrets.json"),
        "VAR_DIR": str(var_dir),
        "BASE_URL": base_url,
        "AWS_ENDPOINT_URL": twin_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "SES_EVENTS_SNS_TOPIC_ARN": f"{_TOPIC}events",
        "SES_INBOUND_SNS_TOPIC_ARN": f"{_TOPIC}inbound",
        "SES_CONFIGURATION_SET": "opensend",
        "OPERATOR_EMAILS": "operator@twin.test",
        "OPERATOR_EMAIL_FROM": "OpenSend <notices@demo.opensend.test>",
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "PROMETHEUS_MULTIPROC_DIR": str(_emptied(var_dir / "metrics")),
    }


def choose_port(var_dir: Path, name: str, *, wanted: str | None, default: int | None = None) -> int:
    """The port that a variable asks for, or the one of the last run, or any free one.

    "0" asks for any. Raises StackError when the one asked for (or `default`) is taken.
    """
    asked = default if wanted is None else _as_port(wanted, name=name)
    if asked:
        if not port_is_free(asked):
            raise StackError(
                f"port {asked} is in use by another program; choose another: {name}={asked + 1}"
            )
        return asked
    ports = read_json(var_dir / "ports.json")
    ports[name] = free_port(preferred=ports.get(name))
    write_json(var_dir / "ports.json", ports)
    return int(ports[name])


def write_env_file(path: Path, settings: Mapping[str, str]) -> None:
    """KEY=value lines, for a shell (`set -a; . var/env`) and for readers of .env files."""
    lines = [f"{name}={_quoted(value)}\n" for name, value in sorted(settings.items())]
    write_private(path, "".join(lines))


def _secrets(path: Path) -> dict[str, str]:
    known = read_json(path)
    made = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "INGESTER_INBOUND_TOKEN": secrets.token_urlsafe(24),
        "INGESTER_JOB_TOKEN": secrets.token_urlsafe(24),
    }
    if not made.keys() <= known.keys():
        known = {**made, **known}
        write_json(path, known)
    return {name: str(known[name]) for name in made}


def _emptied(directory: Path) -> Path:
    # Each process writes a file of its own; those of processes gone would be summed for ever.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _as_port(value: str, *, name: str) -> int:
    if not value.isdigit() or int(value) > 65535:
        raise StackError(f"{name}={value} is not a port")
    return int(value)


def _quoted(value: str) -> str:
    """Plain where a shell reads it plain: an assignment expands no `?` and no `*`."""
    return value if re.fullmatch(r"[\w@%+=:,./?*-]*", value) else shlex.quote(value)
