"""Request ids, path aliases, health, metrics and the OpenAPI document."""

import json
import re
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.access import Scope
from accounts.unsupported import UnsupportedEndpoint
from core import health, redis
from core.models import Heartbeat
from core.tasks import record_heartbeat
from events.models import Event

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db


@pytest.fixture
def schema():
    return Client().get("/openapi.json").json()


# --- Request ids ----------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc", "01HX-3_4.5:6/7@8+9=", "a" * 128])
def test_a_valid_request_id_is_returned(given):
    assert Client(headers={"x-request-id": given}).get("/healthz")["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "<script>", "ü", "a\tb"])
def test_any_other_request_id_is_replaced(given):
    generated = Client(headers={"x-request-id": given}).get("/healthz")["x-request-id"]
    assert generated != given
    assert re.fullmatch(r"[0-9a-f-]{36}", generated)


def test_every_request_has_its_own_id():
    client = Client()
    assert client.get("/healthz")["x-request-id"] != client.get("/healthz")["x-request-id"]


def test_events_carry_the_request_id(api, settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    from core import aws

    aws._client.cache_clear()
    api.post("/domains", {"name": "traced.example"}, headers={"x-request-id": "trace-me"})
    aws._client.cache_clear()
    assert Event.objects.get(type="domain.created").request_id == "trace-me"


# --- Paths --------------------------------------------------------------------------------


def test_every_path_works_under_api_too(api):
    for url in ("/api-keys", "/domains", "/emails", "/webhooks"):
        assert api.get(url).json() == api.get(f"/api{url}").json()
    created = api.post("/api/api-keys", {"name": "x"})
    assert created.status_code == 201
    assert api.get(f"/api/api-keys/{created.json()['id']}").status_code == 200


def test_the_root_redirects_to_the_admin():
    for url in ("/", "/admin"):
        assert Client().get(url)["location"] == "/admin/"


# --- Health -----------------------------------------------------------------------------------


def test_healthz_does_not_query_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")
    assert answer.json()["status"] == "ok"


def test_readyz_reports_every_component(workspace):
    record_heartbeat()
    Event.objects.create(
        workspace=workspace,
        type="webhook.test",
        body="{}",
        next_attempt_at=timezone.now() - timedelta(minutes=1),
    )
    answer = Client().get("/readyz")
    state = answer.json()
    assert (answer.status_code, state["status"]) == (200, "ready")
    assert [state[part] for part in ("database", "migrations", "redis", "beat")] == ["ok"] * 4
    assert state["queues"]["events"]["due"] == 1
    assert 60 <= state["queues"]["events"]["oldest_due_seconds"] < 70
    assert state["queues"]["emails"] == {"due": 0, "oldest_due_seconds": 0.0, "waiting": {}}
    assert [each for each in state["warnings"] if "is running" not in each] == []


def test_readyz_reports_when_beat_was_last_seen():
    assert Client().get("/readyz").json()["beat"] == "never seen"
    Heartbeat.objects.create(name="beat", at=timezone.now() - timedelta(minutes=5))
    assert re.match(r"last seen 30\d s ago", Client().get("/readyz").json()["beat"])


def test_without_redis_the_process_is_still_ready(monkeypatch):
    monkeypatch.setattr(redis, "attempt", lambda use, action: None)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (200, "unavailable")


def test_with_unapplied_migrations_the_process_is_not_ready(monkeypatch):
    monkeypatch.setattr(health, "_is_migrated", False)
    from tests.database import record_unapplied

    record_unapplied("core")
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert answer.json()["migrations"] != "ok"


def _unavailable(*args, **more):
    raise OperationalError("the database is unavailable")


def test_without_a_database_the_process_is_not_ready(monkeypatch):
    monkeypatch.setattr(health.connection, "cursor", _unavailable)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "unavailable")


def test_readyz_warns_when_ses_events_are_rejected(settings):
    settings.SES_EVENTS_SNS_TOPIC_ARN = []
    assert "SES_EVENTS_SNS_TOPIC_ARN" in Client().get("/readyz").json()["warnings"][0]


def test_metrics_count_due_rows_and_responses(api, workspace):
    Event.objects.create(workspace=workspace, type="webhook.test", body="{}")
    api.get("/emails/nonsense")
    text = Client().get("/metrics").content.decode()
    assert 'opensend_queue_due{queue="events"} 1.0' in text
    assert 'opensend_queue_oldest_due_seconds{queue="emails"} 0.0' in text
    assert re.search(
        r'http_requests_total\{method="GET",route="emails/<str:email_id>",status="404"\}', text
    )


def test_metrics_are_served_without_a_database(monkeypatch):
    monkeypatch.setattr(health, "_queues", _unavailable)
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert b"opensend_http_requests_total" in answer.content


def test_clients_cannot_create_metric_labels():
    Client().generic("BREW", "/healthz")
    Client().get("/made-up/path")
    text = Client().get("/metrics").content.decode()
    assert "BREW" not in text
    assert "made-up" not in text


# Paths that require no API key.
OPEN = {"/events/ses", "/healthz", "/readyz", "/metrics"}
# POSTs that are safe to repeat: they create nothing, only what is missing, or nothing stored.
REPEATABLE = {
    "/emails/{email_id}/cancel",
    "/suppressions/import",
    "/webhooks/{webhook_id}/test",
}


# --- Documentation --------------------------------------------------------------------------------


def test_the_committed_schema_is_the_served_one(schema, tmp_path):
    written = tmp_path / "openapi.json"
    call_command(
        "spectacular",
        "--validate",
        "--fail-on-warn",
        "--format=openapi-json",
        f"--file={written}",
    )
    assert json.loads(written.read_text()) == json.loads((ROOT / "docs/openapi.json").read_text())
    assert schema == json.loads(written.read_text())


def test_every_api_view_is_described_once(schema):
    described = {re.sub(r"\{\w+\}", "<>", url) for url in schema["paths"]}
    assert described >= OPEN
    served = {re.sub(r"<[\w:]+>", "<>", url) for url in _api_paths()}
    assert described - OPEN == served
    names = [each["operationId"] for each in _operations(schema)]
    assert len(names) == len(set(names))


def test_every_operation_describes_security_and_responses(schema):
    for url in OPEN:
        assert all(each["security"] == [] for each in schema["paths"][url].values())
    for operation in _operations(schema, but=OPEN):
        ((scheme, scopes),) = operation["security"][0].items()
        assert (scheme, len(scopes)) == ("api_key", 1), operation["operationId"]
        assert scopes[0] in set(Scope)
        for status in ("4XX", "429", "500"):
            error = _resolved(schema, operation["responses"][status])
            content = error["content"]["application/json"]["schema"]
            assert content["$ref"] == "#/components/schemas/Error"
        assert operation["summary"]
        assert any(status.startswith("2") for status in operation["responses"])
    assert schema["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"


def test_every_creating_post_accepts_an_idempotency_key(schema):
    for url, operations in schema["paths"].items():
        if "post" in operations and not url.endswith("/verify") and url not in OPEN | REPEATABLE:
            assert "Idempotency-Key" in _parameters(schema, operations["post"]), url


def test_lists_accept_pagination_parameters(schema):
    for url in ("/api-keys", "/domains", "/emails", "/webhooks"):
        named = _parameters(schema, schema["paths"][url]["get"])
        assert named.keys() == {"limit", "after", "before", "x-request-id"}
        limit = {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
        assert named["limit"]["schema"] == limit


def test_patch_fields_have_no_defaults(schema):
    patches = [each["patch"] for each in schema["paths"].values() if "patch" in each]
    assert len(patches) == 5
    for operation in patches:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        fields = _resolved(schema, body)["properties"]
        assert fields
        assert not [name for name, field in fields.items() if "default" in field]


def test_a_body_is_required_where_its_absence_is_an_error(api, schema):
    optional = {"/webhooks/{webhook_id}/test"}
    for url, operations in schema["paths"].items():
        described = operations.get("post", {}).get("requestBody")
        if described:
            assert described.get("required", False) == (url not in optional), url
    batch = schema["paths"]["/emails/batch"]["post"]["requestBody"]["content"]["application/json"]
    assert (batch["schema"]["minItems"], batch["schema"]["maxItems"]) == (1, 100)
    for invalid in ([], [{}] * 101):
        assert api.post("/emails/batch", invalid).status_code == 422


@pytest.mark.parametrize(
    ("component", "bodies", "wrong"),
    [
        (
            "CreateWebhookRequest",
            [
                {"endpoint": "https://x.example", "events": ["*"]},
                {"url": "https://x.example", "event_types": ["*"]},
            ],
            [
                {"endpoint": "https://x.example"},
                {"endpoint": "x", "url": "x", "events": ["*"]},
                {"url": "x", "events": ["*"], "event_types": ["*"]},
            ],
        ),
        (
            "PatchedUpdateWebhookRequest",
            [{"endpoint": "https://x.example"}, {"event_types": ["*"]}, {}],
            [{"endpoint": "x", "url": "x"}, {"rate": 1}],
        ),
        (
            "AddSuppressionRequest",
            [{"email": "a@b.example", "origin": "bounce"}, {"email": "a@b", "reason": "manual"}],
            [{"email": "a@b", "origin": "whim"}, {"email": "a@b", "reason": "whim"}],
        ),
        (
            "RemoveSuppressionsRequest",
            [{"emails": ["a@b.example"]}, {"ids": ["018f0000-0000-7000-8000-000000000000"]}],
            [{}],
        ),
    ],
)
def test_either_alias_of_a_field_is_described_but_not_both(schema, component, bodies, wrong):
    rules = {"$ref": f"#/components/schemas/{component}", "components": schema["components"]}
    valid = jsonschema.Draft202012Validator(rules).is_valid
    assert all(valid(body) for body in bodies)
    assert not any(valid(body) for body in wrong)


def test_every_response_is_described_with_its_headers(api, settings, schema):
    settings.API_RATE_LIMIT, settings.API_RATE_BURST = 1, 3
    send = {"path": "/api-keys", "data": {"name": "x"}, "headers": {"Idempotency-Key": "k"}}
    answers = [api.post(**send), api.post(**send), api.post(**send | {"data": {"name": "y"}})]
    answers.append(api.post(**send))
    described = schema["paths"]["/api-keys"]["post"]["responses"]
    replayed = [answer.has_header("Idempotent-Replayed") for answer in answers]
    assert [answer.status_code for answer in answers] == [201, 201, 409, 429]
    assert replayed == [False, True, False, False]
    for answer in answers:
        headers = _resolved(schema, described[str(answer.status_code)])["headers"]
        known = {name.lower(): _resolved(schema, each) for name, each in headers.items()}
        ours = {name.lower(): value for name, value in answer.headers.items()}
        sent = {name for name in ours if name.startswith(("ratelimit", "retry", "idem", "x-req"))}
        assert sent <= known.keys() <= sent | {"retry-after", "idempotent-replayed"}
        for name in sent:
            value = int(ours[name]) if known[name]["schema"]["type"] == "integer" else ours[name]
            jsonschema.validate(value, known[name]["schema"])


def test_every_operation_may_be_unavailable(schema):
    for operation in _operations(schema, but=OPEN):
        answer = _resolved(schema, operation["responses"]["503"])
        assert answer["content"]
        assert "retry-after" in answer["headers"]


def test_open_paths_describe_no_api_key_headers(schema):
    for url in OPEN:
        for operation in schema["paths"][url].values():
            assert "x-request-id" in _parameters(schema, operation)
            for answer in operation["responses"].values():
                assert answer["headers"].keys() == {"x-request-id"}


def test_the_documentation_loads_no_external_files():
    answer = Client().get("/docs")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "swagger-ui" in page
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    assert not [source for source in sources if re.match(r"(https?:)?//", source)]
    for source in sources:
        if source.startswith("/static/"):
            assert _static_exists(source.removeprefix("/static/")), source


def _static_exists(name):
    from django.contrib.staticfiles import finders

    return finders.find(name) is not None


def _resolved(schema, part):
    if "$ref" not in part:
        return part
    for name in part["$ref"].removeprefix("#/").split("/"):
        schema = schema[name]
    return schema


def _parameters(schema, operation):
    described = [_resolved(schema, each) for each in operation.get("parameters", [])]
    return {each["name"]: each for each in described}


def _operations(schema, but=()):
    for url, operations in schema["paths"].items():
        if url not in but:
            yield from operations.values()


def _api_paths(patterns=None, prefix="/"):
    """The API paths in Django's URL configuration, without the unsupported ones."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and route == prefix:
            yield from _api_paths(pattern.url_patterns, prefix)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None)
            if view not in (None, UnsupportedEndpoint) and not view.__module__.startswith(
                "drf_spectacular"
            ):
                yield route
