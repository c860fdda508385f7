"""Whether an event's body is what the catalogue says of its type, and nothing more."""

import re
from functools import cache

import jsonschema
import orjson

from events.catalogue import CATALOGUE

FORMATS = jsonschema.FormatChecker(formats=["uuid"])
# What no test can fix: ids, times, and the tokens that SES makes for a domain.
MASKS = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"\b[a-z0-9]{32}\b"), "<token>"),
]


def check(body):
    """AssertionError names the type and where its body differs from the closed schema."""
    name = body.get("type") or body.get("event")
    assert name in CATALOGUE, f"{name!r} is in no catalogue"
    error = jsonschema.exceptions.best_match(_validator(name).iter_errors(body))
    assert error is None, f"{name}: {error.json_path}: {error.message}"


def assert_like_example(name):
    """The one event of this type that was published is the catalogue's example of it."""
    from events.models import Event  # once Django is set up

    body = Event.objects.get(type=name).body
    assert masked(orjson.loads(body)) == masked(CATALOGUE[name].example)


def masked(value):
    if isinstance(value, dict):
        return {key: masked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    if isinstance(value, str):
        for pattern, mask in MASKS:
            value = pattern.sub(mask, value)
    return value


@cache
def _validator(name):
    schema = CATALOGUE[name].closed_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
