"""Checks the bodies of events against the closed schemas of the catalogue."""

import re
from functools import cache

import jsonschema
import orjson

from events.catalogue import CATALOGUE

FORMATS = jsonschema.FormatChecker(formats=["uuid"])
# Values that vary between runs: ids, times, and the DKIM tokens of SES.
MASKS = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"\b[a-z0-9]{32}\b"), "<token>"),
]


def check(body):
    """AssertionError with the type and the path at which the body violates the closed schema."""
    name = body.get("type") or body.get("event")
    assert name in CATALOGUE, f"{name!r} is not in the catalogue"
    error = jsonschema.exceptions.best_match(_validator(name).iter_errors(body))
    assert error is None, f"{name}: {error.json_path}: {error.message}"


def assert_like_example(name):
    """The one published event of this type equals the catalogue's example."""
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
