"""Whether an event's body is what the catalogue says of its type, and nothing more."""

from functools import cache

import jsonschema

from events.catalogue import CATALOGUE

FORMATS = jsonschema.FormatChecker(formats=["uuid"])


def check(body):
    """AssertionError names the type and where its body differs from the closed schema."""
    name = body.get("type") or body.get("event")
    assert name in CATALOGUE, f"{name!r} is in no catalogue"
    error = jsonschema.exceptions.best_match(_validator(name).iter_errors(body))
    assert error is None, f"{name}: {error.json_path}: {error.message}"


@cache
def _validator(name):
    schema = CATALOGUE[name].closed_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
