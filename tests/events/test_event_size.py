"""Bodies have at most 256 KiB, and say so when something was cut."""

import orjson
import pytest

from events.truncation import LIMIT, within_limit


def cut(data):
    body = within_limit({"id": "whd_1", "type": "email.received", "data": data})
    assert len(body.encode()) <= LIMIT
    return orjson.loads(body)["data"]


def test_a_body_within_the_limit_is_left_alone():
    data = {"text": "x" * (LIMIT - 100), "id": "1"}
    assert cut(data) == data


def test_long_texts_are_cut_and_short_ones_kept():
    short = {"email_id": "018f-id", "subject": "Hello", "to": ["a@example.com"], "n": 7, "no": None}
    got = cut(short | {"text": "x" * LIMIT, "html": "y" * LIMIT})
    assert {name: got[name] for name in short} == short
    assert got["truncated"] is True
    assert got["text"] == "x" * len(got["text"])
    assert 1000 < len(got["text"]) < LIMIT


@pytest.mark.parametrize("text", ["é", "🎈", "\x00", "\\", '"'])
def test_the_limit_counts_bytes_as_sent(text):
    assert set(cut({"text": text * LIMIT})["text"]) == {text}


@pytest.mark.parametrize(
    "data",
    [
        {"headers": [{"name": "X", "value": "y" * 50}] * 20_000},
        {"tags": {f"tag-{n}": "v" * 50 for n in range(20_000)}},
        {"deep": {f"a{n}": {f"b{m}": n * m for m in range(300)} for n in range(300)}},
        {"numbers": [[2**53] * 200] * 200},
    ],
    ids=["a list", "an object", "objects in objects", "numbers"],
)
def test_the_limit_holds_whatever_makes_it_large(data):
    got = cut({"email_id": "018f-id"} | data)
    assert got["email_id"] == "018f-id"
    assert got["truncated"] is True
