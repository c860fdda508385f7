"""Bodies have at most 256 KiB and are marked when truncated."""

import orjson
import pytest

from events.envelopes import Envelope, data_of, serialize
from events.truncation import LIMIT
from tests.events.event_samples import AT, EVENT_ID

HEADS = {
    Envelope.STANDARD: {"id": EVENT_ID, "type": "x.y", "created_at": "2026-05-10T09:30:00.250Z"},
    Envelope.MAILBOX: {
        "event": "x.y",
        "event_id": EVENT_ID,
        "occurred_at": "2026-05-10T09:30:00.250Z",
    },
}

pytestmark = pytest.mark.parametrize("envelope", list(Envelope))


def truncate(envelope, data):
    """The payload after truncation, which leaves the envelope intact."""
    body = serialize(envelope, "x.y", event_id=EVENT_ID, at=AT, data=data)
    assert len(body.encode()) <= LIMIT
    assert orjson.loads(body).items() >= HEADS[envelope].items()
    return data_of(body)


def test_a_body_within_the_limit_is_unchanged(envelope):
    data = {"text": "x" * (LIMIT - 200), "id": "1"}
    assert truncate(envelope, data) == data


def test_long_strings_are_truncated_and_short_ones_kept(envelope):
    short = {"email_id": "018f-id", "subject": "Hello", "to": ["a@example.com"], "n": 7, "no": None}
    truncated = truncate(envelope, short | {"text": "x" * LIMIT, "html": "y" * LIMIT})
    assert {name: truncated[name] for name in short} == short
    assert truncated["truncated"] is True
    assert truncated["text"] == "x" * len(truncated["text"])
    assert 1000 < len(truncated["text"]) < LIMIT


@pytest.mark.parametrize("text", ["é", "🎈", "\x00", "\\", '"'])
def test_the_limit_counts_encoded_bytes(envelope, text):
    assert set(truncate(envelope, {"text": text * LIMIT})["text"]) == {text}


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
def test_the_limit_holds_for_any_kind_of_large_data(envelope, data):
    truncated = truncate(envelope, {"email_id": "018f-id"} | data)
    assert truncated["email_id"] == "018f-id"
    assert truncated["truncated"] is True
    [name] = data
    assert isinstance(truncated[name], type(data[name]))
