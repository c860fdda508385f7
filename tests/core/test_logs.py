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
    told = line("Kept %s\nrows", 5, extra={"queue": "events"})
    assert (told["level"], told["logger"], told["message"]) == (
        "INFO",
        "core.tests",
        "Kept 5\nrows",
    )
    assert told["queue"] == "events"
    assert told["at"].endswith("+00:00")
    assert "request_id" not in told


def test_a_line_carries_the_request_it_is_about():
    token = request_id.set("abc")
    try:
        assert line("x")["request_id"] == "abc"
    finally:
        request_id.reset(token)


@pytest.mark.parametrize("value", ["\ud800", 10**40, {1: object()}, float("nan"), b"\xff"])
def test_nothing_that_is_logged_breaks_the_log(value):
    assert "value" in line("x", extra={"value": value})


def test_an_exception_brings_its_traceback():
    try:
        raise KeyError("gone")
    except KeyError as error:
        record = logging.makeLogRecord({"msg": "x", "exc_info": (KeyError, error, None)})
    assert "KeyError: 'gone'" in json.loads(JsonFormatter().format(record))["traceback"]


@pytest.mark.django_db
def test_a_whole_day_of_an_api_key_is_told_without_its_token(api, caplog, client_for):
    caplog.set_level(logging.DEBUG)
    token = api.post("/api-keys", {"name": "secret-name"}).json()["token"]
    client = client_for(token)
    client.post(
        "/emails", {"from": "a@b.example", "to": "private@c.example", "subject": "s", "text": "t"}
    )
    client.get("/emails/nonsense")
    client_for(token + "x").get("/emails")
    told = [
        JsonFormatter().format(each)
        for each in caplog.records
        # SQL is logged at DEBUG only, and never in production.
        if each.name != "django.db.backends"
    ]
    assert not [each for each in told if token in each or "private@c.example" in each]
