"""docker/compose.yaml: a stop waits for the longest call, and one scrape has all counters."""

import inspect
import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from core import aws
from devstack import commands
from emails.api.remote_attachments import FETCH_TIMEOUT
from emails.providers import MAX_CALL_SECONDS
from emails.sending.loop import PREPARE_SHARE
from opensend.checks import MIN_SEND_LEASE

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
OURS = ["web", "worker", "beat"]
MARGIN = 10.0  # seconds to write the results, and to exit


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


def longest_calls():
    """Seconds, by the process that waits for them, with the default settings."""
    config = inspect.getsource(aws._client)
    ses_call = sum(float(value) for value in re.findall(r"(?:connect|read)_timeout=(\d+)", config))
    database = 10.0  # for a connection from the pool
    send = PREPARE_SHARE * MIN_SEND_LEASE.total_seconds() + max(MAX_CALL_SECONDS, ses_call)
    return {
        "web": database + max(ses_call, FETCH_TIMEOUT, settings.WEBHOOK_TIMEOUT),
        "worker": max(send, settings.WEBHOOK_TIMEOUT, ses_call),
        "beat": database,
    }


@pytest.mark.parametrize("process", OURS)
def test_a_stop_waits_longer_than_the_longest_call(process):
    longest = longest_calls()[process]
    assert longest >= 10
    assert seconds(COMPOSE["services"][process]["stop_grace_period"]) >= longest + MARGIN


def test_make_run_waits_as_well():
    assert commands.STOP_SECONDS["worker"] >= longest_calls()["worker"] + MARGIN


def test_the_documentation_names_the_same_time():
    page = (ROOT / "docs" / "deploy.md").read_text()
    (told,) = re.findall(r"Give every process \*\*(\d+) seconds\*\*", page)
    assert {seconds(COMPOSE["services"][name]["stop_grace_period"]) for name in OURS} == {
        float(told)
    }


def test_the_database_has_time_for_its_checkpoint():
    assert seconds(COMPOSE["services"]["postgres"]["stop_grace_period"]) >= 30


def test_all_processes_write_their_counters_where_web_reads_them():
    folders = {
        COMPOSE["services"][name]["environment"]["PROMETHEUS_MULTIPROC_DIR"] for name in OURS
    }
    (folder,) = folders
    for name in OURS:
        assert f"metrics:{folder}" in COMPOSE["services"][name]["volumes"]
    options = COMPOSE["volumes"]["metrics"]["driver_opts"]
    assert (options["type"], options["o"]) == ("tmpfs", "mode=1777")  # the image is not root
