"""The default environment of the product's processes, for a machine without configuration."""

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
from devstack.services import ROOT

# A line such as `NAME=value` or, for an optional setting with its default, `# NAME=value`.
_ENTRY = re.compile(r"^(?:#\s*)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_TOPIC = "arn:aws:sns:us-east-1:123456789012:opensend-"


def local_settings(var_dir: Path, *, base_url: str, twin_url: str) -> dict[str, str]:
    """Settings for a local run. Secrets are generated once and stored in VAR_DIR."""
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
        "PROMETHEUS_MULTIPROC_DIR": str(_recreate(var_dir / "metrics")),
    }


def setting_names() -> set[str]:
    """Every variable in `.env.example`."""
    return set(_ENTRY.findall((ROOT / ".env.example").read_text()))


def choose_port(
    var_dir: Path, name: str, *, requested: str | None, default: int | None = None
) -> int:
    """The requested port or `default`; without either, the port of the last run or any free one.

    A request for "0" means any free port. Raises StackError if the requested port is in use.
    """
    port = default if requested is None else _parse_port(requested, name=name)
    if port:
        if not port_is_free(port):
            raise StackError(
                f"port {port} is in use by another program; choose another: {name}={port + 1}"
            )
        return port
    ports = read_json(var_dir / "ports.json")
    ports[name] = free_port(preferred=ports.get(name))
    write_json(var_dir / "ports.json", ports)
    return int(ports[name])


def write_env_file(path: Path, settings: Mapping[str, str]) -> None:
    """KEY=value lines, for shells (`set -a; . var/env`) and .env parsers."""
    lines = [f"{name}={_quote(value)}\n" for name, value in sorted(settings.items())]
    write_private(path, "".join(lines))


def _secrets(path: Path) -> dict[str, str]:
    stored = read_json(path)
    generated = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "INGESTER_INBOUND_TOKEN": secrets.token_urlsafe(24),
        "INGESTER_JOB_TOKEN": secrets.token_urlsafe(24),
    }
    if not generated.keys() <= stored.keys():
        stored = {**generated, **stored}
        write_json(path, stored)
    return {name: str(stored[name]) for name in generated}


def _recreate(directory: Path) -> Path:
    # Each process writes its own file; the files of dead processes would be summed up forever.
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _parse_port(value: str, *, name: str) -> int:
    if not value.isdigit() or int(value) > 65535:
        raise StackError(f"{name}={value} is not a port number")
    return int(value)


def _quote(value: str) -> str:
    """Shell-quote only where needed: an assignment does not expand `?` and `*`."""
    return value if re.fullmatch(r"[\w@%+=:,./?*-]*", value) else shlex.quote(value)
