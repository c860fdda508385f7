"""The catalogue: types, schemas, examples, the page and the API are of one mind."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from django.core.management import call_command
from event_samples import fact

from bench import rows
from core.db.ids import uuid7
from events.catalogue import CATALOGUE, EXAMPLES, GROUPS, is_subscribable, matches
from events.envelopes import Envelope
from tests.event_schemas import check

ROOT = Path(__file__).resolve().parents[2]
# No part of the product emits these so far, so their examples are held against the schema alone.
NOT_EMITTED = {
    *("email.received", "message.received"),
    *("inbox.suspended", "inbox.reactivated", "pod.suspended", "pod.reactivated"),
}
each_type = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)


def closed_objects(schema):
    """Where a schema forbids further fields."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False:
            yield schema
        for value in schema.values():
            yield from closed_objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from closed_objects(value)


@each_type
def test_an_example_is_as_its_closed_schema_says(kind):
    check(kind.example)


@each_type
def test_the_published_schema_allows_further_fields(kind):
    jsonschema.Draft202012Validator.check_schema(kind.schema)
    assert not list(closed_objects(kind.schema))
    assert list(closed_objects(kind.closed_schema))
    more = kind.example | {"added_later": 1}
    if "data" in more:
        more["data"] = more["data"] | {"added_later": 1}
    jsonschema.validate(more, kind.schema)
    with pytest.raises(AssertionError, match="added_later"):
        check(more)


@each_type
def test_a_schema_knows_its_type_id_and_time(kind):
    mailbox = kind.envelope is Envelope.MAILBOX
    name, key, at = (
        ("event", "event_id", "occurred_at") if mailbox else ("type", "id", "created_at")
    )
    for field, wrong in [(name, "x.y"), (key, "whd_1"), (key, None), (at, "2026-05-10")]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(kind.example | {field: wrong}, kind.schema)


def test_mailbox_events_have_their_envelope_and_no_others():
    found = {name for name, kind in CATALOGUE.items() if kind.envelope is Envelope.MAILBOX}
    assert {name.split(".")[0] for name in found} == {"message", "inbox", "pod"}
    assert {kind.envelope for kind in CATALOGUE.values() if kind.name not in found} == {
        Envelope.STANDARD
    }


def test_there_is_one_example_for_each_type_and_no_other():
    assert {path.stem for path in EXAMPLES.iterdir()} == CATALOGUE.keys()


def test_each_type_that_is_emitted_is_seen_to_be_like_its_example():
    files = (ROOT / "tests").glob("*/test_examples_of_*.py")
    text = "\n".join(path.read_text() for path in files)
    assert {name for name in CATALOGUE if f'"{name}"' not in text} == NOT_EMITTED


def test_a_changed_example_harms_no_other_caller():
    kind = CATALOGUE["domain.updated"]
    kind.example_data()["records"].clear()
    assert kind.example_data() == kind.example["data"]
    assert kind.example_data()["records"]


def test_groups_take_in_their_types():
    for kind in CATALOGUE.values():
        assert matches([kind.group], kind.name)
        assert kind.group in GROUPS


def test_the_suite_refuses_what_the_catalogue_does_not_say(workspace, request):
    """The hook in tests/conftest.py, by the function that it hooks in."""
    from events import services

    with pytest.raises(AssertionError, match=r"contact\.created: \$\.data.*'n' was unexpected"):
        services._event(fact(workspace, n=1))
    with pytest.raises(AssertionError, match=r"\$\.data\.created_at"):
        services._event(fact(workspace, created_at="yesterday"))
    request.getfixturevalue("_published_as_promised").clear()


def test_the_benchmarks_events_are_as_the_product_makes_them():
    check(json.loads(rows._event_body(uuid7(), 7)))


def test_the_page_is_what_the_catalogue_says(tmp_path):
    call_command("write_event_docs", write=tmp_path / "events.md")
    page = (tmp_path / "events.md").read_text()
    assert page == (ROOT / "docs" / "events.md").read_text(), "run `make docs`"


def test_the_page_shows_each_type_with_its_fields_and_example():
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


def test_what_can_be_subscribed_to():
    assert all(is_subscribable(name) for name in [*CATALOGUE, *GROUPS])
    assert "email.*" in GROUPS
    assert "*" in GROUPS
    for name in ("email", "email.", "email.**", "*.*", "contact.exploded", ""):
        assert not is_subscribable(name)


def test_the_api_lists_what_the_catalogue_has(api):
    answer = api.get("/webhooks/event-types")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["object"], told["has_more"]) == ("list", False)
    assert [each["type"] for each in told["data"]] == list(CATALOGUE)
    for each in told["data"]:
        assert each.keys() == {
            *("object", "type", "group", "description", "emitted_by", "schema", "example")
        }
        assert each["object"] == "event_type"
        jsonschema.validate(each["example"], each["schema"])


@pytest.mark.parametrize("query", ["limit=2", "limit=abc", "after=email.sent", "before="])
def test_a_part_of_the_list_cannot_be_asked_for(api, query):
    answer = api.get(f"/webhooks/event-types?{query}")
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {query.split("=")[0]}


def test_everything_that_is_listed_can_be_subscribed_to(api):
    listed = api.get("/webhooks/event-types").json()["data"]
    for pattern in {"*"} | {each["type"] for each in listed} | {each["group"] for each in listed}:
        body = {"endpoint": "https://hooks.example.com/", "events": [pattern]}
        assert api.post("/webhooks", body).json()["events"] == [pattern]


def test_event_types_are_for_keys_with_full_access(workspace, client_for):
    from accounts.services import create_api_key

    _, token = create_api_key(workspace=workspace, name="sender", permission="sending_access")
    assert client_for(token).get("/webhooks/event-types").status_code in (401, 403)
