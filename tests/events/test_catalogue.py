"""The catalogue: types, schemas, examples, the docs page and the API agree."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from django.core.management import call_command

from bench import rows
from core.db.ids import uuid7
from events.catalogue import CATALOGUE, EXAMPLES, groups, is_subscribable, matches
from events.envelopes import Envelope
from tests.clients import sending_client
from tests.event_schemas import check
from tests.events.event_samples import fact

ROOT = Path(__file__).resolve().parents[2]
# Not emitted yet, so their examples are only checked against the schema.
NOT_EMITTED = {
    *("email.received", "message.received"),
    *("inbox.suspended", "inbox.reactivated", "pod.suspended", "pod.reactivated"),
}
each_type = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)


def closed_objects(schema):
    """The objects in a schema that forbid additional fields."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False:
            yield schema
        for value in schema.values():
            yield from closed_objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from closed_objects(value)


@each_type
def test_examples_match_their_closed_schema(kind):
    check(kind.example)


@each_type
def test_published_schemas_allow_additional_fields(kind):
    jsonschema.Draft202012Validator.check_schema(kind.schema)
    assert not list(closed_objects(kind.schema))
    assert list(closed_objects(kind.closed_schema))
    extended = kind.example | {"added_later": 1}
    if "data" in extended:
        extended["data"] = extended["data"] | {"added_later": 1}
    jsonschema.validate(extended, kind.schema)
    with pytest.raises(AssertionError, match="added_later"):
        check(extended)


@each_type
def test_schemas_validate_the_type_id_and_time(kind):
    mailbox = kind.envelope is Envelope.MAILBOX
    name, key, at = (
        ("event", "event_id", "occurred_at") if mailbox else ("type", "id", "created_at")
    )
    for field, wrong in [(name, "x.y"), (key, "whd_1"), (key, None), (at, "2026-05-10")]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(kind.example | {field: wrong}, kind.schema)


def test_only_mailbox_events_use_the_mailbox_envelope():
    mailbox_types = {name for name, kind in CATALOGUE.items() if kind.envelope is Envelope.MAILBOX}
    assert {name.split(".")[0] for name in mailbox_types} == {"message", "inbox", "pod"}
    assert {kind.envelope for kind in CATALOGUE.values() if kind.name not in mailbox_types} == {
        Envelope.STANDARD
    }


def test_each_type_has_exactly_one_example():
    assert {path.stem for path in EXAMPLES.iterdir()} == CATALOGUE.keys()


def test_each_emitted_type_has_a_test_of_its_example():
    files = (ROOT / "tests").glob("*/test_examples_of_*.py")
    text = "\n".join(path.read_text() for path in files)
    assert {name for name in CATALOGUE if f'"{name}"' not in text} == NOT_EMITTED


def test_callers_cannot_change_a_shared_example():
    kind = CATALOGUE["domain.updated"]
    kind.example_data()["records"].clear()
    assert kind.example_data() == kind.example["data"]
    assert kind.example_data()["records"]


def test_groups_match_their_types():
    for kind in CATALOGUE.values():
        assert matches([kind.group], kind.name)
        assert kind.group in groups()


def test_the_test_suite_rejects_events_that_do_not_match_the_catalogue(workspace, request):
    """Tests the fixture in tests/conftest.py that wraps the serializer."""
    from events import services

    with pytest.raises(AssertionError, match=r"contact\.created: \$\.data.*'n' was unexpected"):
        services._event(fact(workspace, n=1))
    with pytest.raises(AssertionError, match=r"\$\.data\.created_at"):
        services._event(fact(workspace, created_at="yesterday"))
    request.getfixturevalue("_published_events_match_catalogue").clear()


def test_benchmark_events_match_the_catalogue():
    check(json.loads(rows._event_body(uuid7(), 7)))


def test_the_docs_page_is_up_to_date(tmp_path):
    call_command("write_event_docs", write=tmp_path / "events.md")
    page = (tmp_path / "events.md").read_text()
    assert page == (ROOT / "docs" / "events.md").read_text(), "run `make docs`"


def test_the_docs_page_has_each_type_with_its_fields_and_example():
    page = (ROOT / "docs" / "events.md").read_text()
    assert re.findall(r"^### (\S+)$", page, re.MULTILINE) == list(CATALOGUE)
    examples = [json.loads(text) for text in re.findall(r"```json\n(\{\n.*?)```", page, re.DOTALL)]
    assert examples == [kind.example for kind in CATALOGUE.values()]
    for row in [
        "| `click.machine` | boolean | ",
        "| `cc` | list of strings, optional | ",
        "| `records[].priority` | integer or null | ",
        "| `deliveryDelay.delayedRecipients` | list of objects | ",
        "| `message.from` | string | ",
        "| `tags` | object of strings | ",
        "| `email_id` | id | ",
    ]:
        assert row in page
    assert "truncated` |" not in page


def test_types_groups_and_the_wildcard_are_subscribable():
    assert all(is_subscribable(name) for name in [*CATALOGUE, *groups()])
    assert "email.*" in groups()
    assert "*" in groups()
    for name in ("email", "email.", "email.**", "*.*", "contact.exploded", ""):
        assert not is_subscribable(name)


def test_the_api_lists_the_catalogue(api):
    response = api.get("/webhooks/event-types")
    assert response.status_code == 200
    body = response.json()
    assert (body["object"], body["has_more"]) == ("list", False)
    assert [each["type"] for each in body["data"]] == list(CATALOGUE)
    for each in body["data"]:
        assert each.keys() == {
            *("object", "type", "group", "description", "emitted_by", "schema", "example")
        }
        assert each["object"] == "event_type"
        jsonschema.validate(each["example"], each["schema"])


@pytest.mark.parametrize("query", ["limit=2", "limit=abc", "after=email.sent", "before="])
def test_the_list_rejects_pagination_parameters(api, query):
    response = api.get(f"/webhooks/event-types?{query}")
    assert response.status_code == 422
    assert set(response.json()["details"]["fields"]) == {query.split("=")[0]}


def test_every_listed_type_and_group_is_subscribable(api):
    listed = api.get("/webhooks/event-types").json()["data"]
    for pattern in {"*"} | {each["type"] for each in listed} | {each["group"] for each in listed}:
        body = {"endpoint": "https://hooks.example.com/", "events": [pattern]}
        assert api.post("/webhooks", body).json()["events"] == [pattern]


def test_event_types_require_full_access(workspace):
    assert sending_client(workspace).get("/webhooks/event-types").status_code in (401, 403)
