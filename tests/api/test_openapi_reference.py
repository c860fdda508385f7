"""Every operation, parameter and field of the OpenAPI document is described, with an example."""

import re

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from opensend.api_reference.operations import OPERATIONS, PARAMETERS
from tests.api_schema import document
from tests.factories import verified_domain

PLACEHOLDERS = {"string", "str", "foo", "bar", "test", "user@example.com", 0, 123}


def operations():
    return [
        (f"{method} {path}", operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]


def fields():
    return [
        (f"{name}.{field}", schema)
        for name, component in document()["components"]["schemas"].items()
        for field, schema in component.get("properties", {}).items()
    ]


def validator(place):
    resource = Resource(contents=document(), specification=DRAFT202012)
    registry = Registry().with_resource("openapi", resource)
    return jsonschema.Draft202012Validator({"$ref": f"openapi#/{place}"}, registry=registry)


def parts(schema):
    yield schema
    items = [schema["items"]] if "items" in schema else []
    for each in [*schema.get("anyOf", []), *schema.get("allOf", []), *items]:
        yield from parts(each)


def has_example(schema):
    """Its own, the only value it can have, or those of the schema that it refers to."""
    own = schema.get("examples") or ("example" in schema) or ("const" in schema)
    refers = any("properties" in resolve(each) for each in parts(schema))
    return own or refers or schema.get("type") == "null" or schema.get("maxItems") == 0


def resolve(schema):
    name = schema.get("$ref", "").rpartition("/")[2]
    return document()["components"]["schemas"].get(name, {})


def test_every_operation_has_a_summary_and_a_description():
    assert [place for place, each in operations() if not each.get("summary")] == []
    assert [place for place, each in operations() if not each.get("description")] == []
    assert len(operations()) >= 54


def test_every_parameter_is_described():
    missing = [
        f"{place}: {parameter['name']}"
        for place, operation in operations()
        for parameter in operation.get("parameters", [])
        if "$ref" not in parameter and not parameter.get("description")
    ]
    assert missing == []


def test_every_path_parameter_has_an_example():
    missing = [
        f"{place}: {parameter['name']}"
        for place, operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter.get("in") == "path" and "example" not in parameter
    ]
    assert missing == []


def test_every_field_has_a_description_and_an_example():
    assert [place for place, schema in fields() if not schema.get("description")] == []
    assert [place for place, schema in fields() if not has_example(schema)] == []
    assert len(fields()) >= 430


@pytest.mark.parametrize(("place", "schema"), fields(), ids=lambda value: str(value)[:60])
def test_an_example_of_a_field_fits_its_schema(place, schema):
    name, field = place.split(".")
    checked = validator(f"components/schemas/{name}/properties/{field}")
    for example in schema.get("examples", []):
        assert list(checked.iter_errors(example)) == []
        if place != "PropertyOut.type":  # a property's type is really `string`
            assert isinstance(example, list | dict | bool) or example not in PLACEHOLDERS


def test_every_json_body_is_filled_in_realistically():
    for place, operation in operations():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if media_type.startswith("multipart/"):
                continue  # a file, which the reader chooses
            assert "example" in content, place
            path, method = place.split()[1], place.split()[0]
            escaped = path.replace("~", "~0").replace("/", "~1")
            kind = media_type.replace("/", "~1")
            where = f"paths/{escaped}/{method}/requestBody/content/{kind}/schema"
            errors = list(validator(where).iter_errors(content["example"]))
            assert errors == [], place
            assert "null" not in re.sub(r"'plan': None", "", str(content["example"])), place


@pytest.mark.parametrize(
    "name",
    [
        "create_api_key",
        "create_contact",
        "create_webhook",
        "remove_suppressions",
        "send_email",
        "send_up_to_100_emails",
        "suppress_address",
        "suppress_addresses",
    ],
)
def test_try_it_out_works_at_once(db, api, workspace, name):
    """On `make run`, with the domain that it has verified: nothing in the form need be changed."""
    verified_domain(workspace, "demo.opensend.test")
    by_id = {operation["operationId"]: (place, operation) for place, operation in operations()}
    place, operation = by_id[name]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    answer = api.post(place.split()[1], body)
    assert answer.status_code in (200, 201), answer.json()


def test_no_description_is_left_over():
    known = {operation["operationId"] for _, operation in operations()}
    assert set(OPERATIONS) - known == set()
    named = {
        parameter["name"]
        for _, operation in operations()
        for parameter in operation.get("parameters", [])
        if "$ref" not in parameter
    }
    assert set(PARAMETERS) - named == set()
