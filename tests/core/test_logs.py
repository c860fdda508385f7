import json
import logging

import pytest

from core.context import request_id
from core.logs import JsonFormatter


def line(message, *args, **more):
    record = logging.getLogger("core.tests").makeRecord(
        "core.tests", logging.INFO, "file.py", 1, message, args, None, **more
    )
    return json.loads(JsonFormatter().format(record))


def test_a_line_is_one_json_object():
    logged = line("Kept %s\nrows", 5, extra={"queue": "events"})
    assert (logged["level"], logged["logger"], logged["message"]) == (
        "INFO",
        "core.tests",
        "Kept 5\nrows",
    )
    assert logged["queue"] == "events"
    assert logged["at"].endswith("+00:00")
    assert "request_id" not in logged


def test_a_line_has_the_request_id():
    token = request_id.set("abc")
    try:
        assert line("x")["request_id"] == "abc"
    finally:
        request_id.reset(token)


@pytest.mark.parametrize("value", ["\ud800", 10**40, {1: object()}, float("nan"), b"\xff"])
def test_any_value_can_be_logged(value):
    assert "value" in line("x", extra={"value": value})


def test_an_exception_is_logged_with_its_traceback():
    try:
        raise KeyError("gone")
    except KeyError as error:
        record = logging.makeLogRecord({"msg": "x", "exc_info": (KeyError, error, None)})
    assert "KeyError: 'gone'" in json.loads(JsonFormatter().format(record))["traceback"]


@pytest.mark.django_db
def test_neither_api_keys_nor_addresses_are_logged(api, caplog, client_for):
    caplog.set_level(logging.DEBUG)
    token = api.post("/api-keys", {"name": "secret-name"}).json()["token"]
    client = client_for(token)
    client.post(
        "/emails", {"from": "a@b.example", "to": "private@c.example", "subject": "s", "text": "t"}
    )
    client.get("/emails/nonsense")
    client_for(token + "x").get("/emails")
    lines = [
        JsonFormatter().format(each)
        for each in caplog.records
        # SQL is logged at DEBUG only, and never in production.
        if each.name != "django.db.backends"
    ]
    assert not [each for each in lines if token in each or "private@c.example" in each]
