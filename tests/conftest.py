"""The suite runs on a real PostgreSQL and Redis; DATABASE_URL and REDIS_URL override them.

With `pytest -n` each process of pytest-xdist has its own of both, and its own folder.
"""

import importlib.util
import json
import logging
import os
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
import requests

from tests.clients import admin_client, client_for

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("TEST_VAR_DIR", ROOT / "var" / "test"))
VAR /= os.environ.get("PYTEST_XDIST_WORKER", "")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opensend.settings")
os.environ.update(
    LOCAL_MODE="true",
    SECRET_KEY="for-tests-only",
    BASE_URL="http://testserver",
    VAR_DIR=str(VAR),
    LOG_LEVEL="ERROR",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_REGION="us-east-1",
    SES_EVENTS_SNS_TOPIC_ARN="arn:aws:sns:us-east-1:123456789012:opensend-events",
    SES_CONFIGURATION_SET="opensend",
    WEBHOOK_ALLOW_HTTP="true",
    WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8,::1/128",
    API_RATE_LIMIT="0",
    DATABASE_POOL_SIZE="0",
    DATABASE_PREPARED_STATEMENTS="true",
)
for name in ("PROMETHEUS_MULTIPROC_DIR", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)


def _start_services() -> list[object]:
    from devstack.embedded import Postgres, Redis, create_database

    started: list[object] = []
    if "DATABASE_URL" not in os.environ:
        postgres = Postgres(VAR / "postgres", settings={"fsync": "off", "full_page_writes": "off"})
        os.environ["DATABASE_URL"] = create_database(postgres.start(), "opensend")
        started.append(postgres)
    if "REDIS_URL" not in os.environ:
        redis = Redis(VAR / "redis")
        os.environ["REDIS_URL"] = redis.start()
        started.append(redis)
    return started


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the tests wait half of the time, for processes they start."""
    return min((os.cpu_count() or 1) + 1, 4)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        # It only hands the tests out. Those who run them would read the settings too early.
        del os.environ["DJANGO_SETTINGS_MODULE"]
        return
    config._services = _start_services()
    import django
    from django.conf import settings

    django.setup()
    from django.test import TransactionTestCase

    from tests.database import delete_all_rows

    TransactionTestCase._fixture_teardown = lambda case: delete_all_rows()
    # WhiteNoise would look at every static file for each test client.
    settings.WHITENOISE_AUTOREFRESH = True


def pytest_unconfigure(config: pytest.Config) -> None:
    for service in reversed(getattr(config, "_services", [])):
        service.stop()


@pytest.fixture
def workspace(db):
    from accounts.services import create_workspace

    return create_workspace(name="Alice's")


@pytest.fixture
def api_key(workspace):
    """(ApiKey, token) with full access to Alice's workspace."""
    from accounts.services import create_api_key

    return create_api_key(workspace=workspace, name="alice")


@pytest.fixture
def api(api_key):
    """Alice's HTTP client: `api.post("/emails", {...})` speaks JSON."""
    return client_for(api_key[1])


@pytest.fixture
def stranger(db):
    """The HTTP client of another workspace, which must not see anything of Alice's."""
    from accounts.services import create_api_key, create_workspace

    return client_for(create_api_key(workspace=create_workspace(name="Bob's"), name="bob")[1])


@pytest.fixture
def domain(workspace):
    """Alice's verified domain, example.com, without an SES identity."""
    from tests.factories import verified_domain

    return verified_domain(workspace)


@pytest.fixture(name="client_for")
def _client_for():
    """Builds an HTTP client for any token."""
    return client_for


@pytest.fixture
def operator(db):
    """The HTTP client of an operator who is signed in to the admin."""
    return admin_client("op", is_superuser=True)


@pytest.fixture
def published(db):
    """`published(*types)`: (type, data) of the events published so far, oldest first."""
    from tests.database import published

    return published


@pytest.fixture
def hinted(monkeypatch):
    """The names of the tasks that were hinted at."""
    from core.queue import wake

    names = []
    monkeypatch.setattr(wake, "hint", names.append)
    monkeypatch.setattr(wake, "_passed_on", {})  # as if this process had not hinted lately
    return names


@pytest.fixture
def log_lines(caplog):
    """`log_lines("webhooks")`: a list of all JSON log lines of that logger from now on."""
    from core.logs import JsonFormatter

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(JsonFormatter().format(record)))

    def capture(name, level=logging.DEBUG):
        caplog.set_level(level, logger=name)
        logging.getLogger(name).addHandler(handler)
        names.append(name)
        return lines

    lines, names, handler = [], [], Handler()
    yield capture
    for name in names:
        logging.getLogger(name).removeHandler(handler)


@pytest.fixture(scope="session")
def product():
    """The whole product, shared by all tests that only use it.

    As a user starts it, but for its blobs: those are in S3. tests/journey/test_make_run.py starts
    others, with a folder.
    """
    from tests.journey.product import Product

    with tempfile.TemporaryDirectory(prefix="opensend-", ignore_cleanup_errors=True) as folder:
        running = Product(Path(folder), BLOB_STORE="s3://attachments/of/mail").start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def s3_twin(tmp_path_factory):
    """A separate twin for blobs, with the bucket `files`."""
    from tests.twin.twin_running import RunningTwin

    twin = RunningTwin.start(tmp_path_factory.mktemp("s3"), "--bucket=files")
    yield twin
    twin.stop()


@pytest.fixture
def aws_at(settings):
    """`aws_at(url)` points the product at another AWS endpoint."""
    from core import aws

    def point(url):
        settings.AWS_ENDPOINT_URL = url
        aws._client.cache_clear()

    yield point
    aws._client.cache_clear()


@pytest.fixture(params=["folder", "s3"])
def blob_store(request, settings, tmp_path):
    """An empty blob store; each test runs with a folder and with the twin's S3."""
    from core import aws
    from core.blobs import blobs

    if request.param == "folder":
        settings.BLOB_STORE = str(tmp_path / "blobs")
        yield blobs()
        return
    settings.BLOB_STORE = "s3://files/some/prefix"
    twin = request.getfixturevalue("s3_twin")
    twin.reset()
    request.getfixturevalue("aws_at")(twin.url)
    yield blobs()
    aws.s3(settings.AWS_REGION).close()


@pytest.fixture
def download():
    """`download(url)`: (content, headers); links to a folder go to the Django test client."""
    from django.test import Client

    def get(url):
        if url.startswith("http://testserver"):
            answer = Client().get(url.removeprefix("http://testserver"))
            return answer.getvalue(), answer.headers
        answer = requests.get(url, timeout=30)
        return answer.content, answer.headers

    return get


@pytest.fixture(scope="session")
def opensend_module():
    """The PyPI client `opensend`, loaded from its file: our own package has the same name."""
    path = distribution("opensend").locate_file("opensend/__init__.py")
    spec = importlib.util.spec_from_file_location("opensend_from_pypi", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _published_events_match_catalogue():
    """Every event that a test publishes matches the catalogue."""
    from events import services
    from tests.event_schemas import check

    original, errors = services.serialize, []

    def checked(*args, **named):
        body = original(*args, **named)
        try:
            check(json.loads(body))
        except AssertionError as error:
            errors.append(str(error))  # a worker continues after an error; the test must fail
            raise
        return body

    services.serialize = checked
    yield errors
    services.serialize = original
    assert not errors, errors


@pytest.fixture(autouse=True)
def _responses_match_openapi():
    """Every accepted request and every response matches the OpenAPI document."""
    from accounts.views import ApiView
    from tests.api_schema import check

    original, errors = ApiView.finalize_response, []

    def checked(view, request, *args, **named):
        response = original(view, request, *args, **named)
        try:
            check(view, request, response)
        except AssertionError as error:
            errors.append(str(error))  # reported at the end of the test
        return response

    ApiView.finalize_response = checked
    yield
    ApiView.finalize_response = original
    assert not errors, errors


@pytest.fixture(autouse=True)
def _fresh_redis():
    """Flush Redis after each test."""
    yield
    from core import redis

    redis._unavailable_until = 0.0
    redis.attempt("tests", lambda client: client.flushdb())
