"""The admin shows every callback, whatever it contains, without what confirms a subscription."""

import json

import pytest

from ingest.models import ProviderEvent

SECRET = "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&Token=abc"


def deep(levels):
    return '{"eventType": "Send", "a": ' + "[" * levels + "]" * levels + "}"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (r'{"eventType": "Bounce", "a": "no \ud83d"}', "no \ufffd"),
        ('{"eventType": "Bounce", "a": 1e30}', "1e+30"),
        ('{"eventType": "Bounce", "a": ' + "9" * 40 + "}", "1e+40"),
        ('{"eventType": "Bounce", "a": NaN}', "null"),
        (deep(300), "Send"),
        (deep(900), "Send"),
        (deep(5000), "Send"),
        ("not JSON", "not JSON"),
        ("\ud83d", "Message"),
    ],
    ids=lambda value: value[:40].encode("ascii", "replace").decode(),
)
def test_a_callback_with_any_body_has_a_page(message, shown, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("op", password="a pass phrase"))
    body = json.dumps({"Message": message, "UnsubscribeURL": SECRET})
    row = ProviderEvent.objects.create(
        source="ses", event_id="odd", body=body, state="quarantined", next_attempt_at=None
    )

    answer = client.get(f"/admin/ingest/providerevent/{row.pk}/change/")

    assert answer.status_code == 200
    text = answer.content.decode()
    assert shown in text
    assert "Action=Unsubscribe" not in text
