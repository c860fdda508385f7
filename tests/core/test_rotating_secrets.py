"""`manage.py rotate_secrets`: from one encryption key to the next."""

import json
from io import StringIO

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import IdempotencyRecord
from core.security import crypto, key_rotation
from core.security.key_rotation import rotate_all
from webhooks.dispatch import custom_headers
from webhooks.dispatch.signing import Keyring, decrypt_keyring
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db

A, B = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def records(workspace):
    """`records(3)` writes as many answers, encrypted with the keys that are set."""

    def make(count, body="answer"):
        rows = [
            IdempotencyRecord(
                workspace=workspace,
                route="POST /x",
                key=f"{body} {n}",
                fingerprint="",
                status=200,
                encrypted_body=crypto.encrypt(f"{body} {n}"),
            )
            for n in range(count)
        ]
        return IdempotencyRecord.objects.bulk_create(rows)

    return make


@pytest.fixture
def rotated(settings):
    """Run the command with these keys; what it said of each column."""

    def run(*keys):
        settings.ENCRYPTION_KEYS = list(keys)
        out = StringIO()
        try:
            call_command("rotate_secrets", "--json", stdout=out)
        finally:
            told = json.loads(out.getvalue())["columns"]
            run.told = {f"{each['table']}.{each['column']}": each for each in told}
        return run.told

    return run


def counts(told, column):
    each = told[column]
    return each["renewed"], each["already_new"], len(each["unreadable"])


def bodies():
    return {crypto.decrypt(row.encrypted_body) for row in IdempotencyRecord.objects.all()}


def test_the_keys_that_are_set_are_those_in_use(settings):
    settings.ENCRYPTION_KEYS = [A]
    token = crypto.encrypt("x")
    settings.ENCRYPTION_KEYS = [B]
    with pytest.raises(InvalidToken):
        crypto.decrypt(token)
    settings.ENCRYPTION_KEYS = [B, A]
    assert crypto.decrypt(token) == "x"
    assert Fernet(B).decrypt(crypto.encrypt("y")) == b"y"


def test_after_it_the_old_key_can_go(settings, api, records, rotated):
    settings.ENCRYPTION_KEYS = [A]
    body = {"endpoint": "https://hooks.example.com/", "events": ["*"]}
    plain = api.post("/webhooks", body).json()
    made = api.post("/webhooks", body | {"headers": {"X-A": "a"}, "ed25519": True}).json()
    records(3)

    told = rotated(B, A)
    assert counts(told, "webhook_endpoints.encrypted_keyring") == (2, 0, 0)
    assert counts(told, "webhook_endpoints.encrypted_headers") == (1, 0, 0)  # "" is no token
    assert counts(told, "idempotency_records.encrypted_body") == (3, 0, 0)

    settings.ENCRYPTION_KEYS = [B]
    assert bodies() == {"answer 0", "answer 1", "answer 2"}
    with_headers, without = (
        Endpoint.objects.get(pk=made["id"]),
        Endpoint.objects.get(pk=plain["id"]),
    )
    assert custom_headers.decrypt(with_headers.encrypted_headers) == {"X-A": "a"}
    assert without.encrypted_headers == ""
    newest = decrypt_keyring(with_headers.encrypted_keyring).newest
    assert (newest.secret, newest.public_key) == (made["signing_secret"], made["public_key"])


def test_a_second_run_has_nothing_to_do(settings, records, rotated):
    settings.ENCRYPTION_KEYS = [A]
    records(3)
    rotated(B, A)
    before = set(IdempotencyRecord.objects.values_list("pk", "encrypted_body"))
    assert counts(rotated(B, A), "idempotency_records.encrypted_body") == (0, 3, 0)
    assert set(IdempotencyRecord.objects.values_list("pk", "encrypted_body")) == before


def test_every_column_of_tokens_is_known(rotated):
    """A token elsewhere than in a CiphertextField would be lost with its key."""
    named = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.column.startswith("encrypted_")
    }
    assert set(rotated(B)) == named


def test_more_rows_than_a_batch_are_all_done(settings, records, rotated, monkeypatch):
    monkeypatch.setattr(key_rotation, "BATCH", 3)
    settings.ENCRYPTION_KEYS = [A]
    records(7)
    settings.ENCRYPTION_KEYS = [B, A]
    records(2, "new")
    assert counts(rotated(B, A), "idempotency_records.encrypted_body") == (7, 2, 0)
    settings.ENCRYPTION_KEYS = [B]
    assert len(bodies()) == 9


def test_statements_grow_with_the_batches_and_not_with_the_rows(settings, records):
    taken = []
    for body in ("few", "many"):
        settings.ENCRYPTION_KEYS = [A]
        records(3 if body == "few" else 300, body)
        settings.ENCRYPTION_KEYS = [B, A]
        with CaptureQueriesContext(connection) as captured:
            list(rotate_all())
        taken.append(len(captured))
    assert taken[0] == taken[1] <= 12


def test_what_no_key_opens_is_named_and_the_rest_is_done(settings, records, rotated):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = records(2, "lost")
    settings.ENCRYPTION_KEYS = [A]
    records(2)
    garbage = records(1, "garbage")[0]
    IdempotencyRecord.objects.filter(pk=garbage.pk).update(encrypted_body="ünreadable")
    untouched = set(IdempotencyRecord.objects.values_list("pk", "encrypted_body"))

    unreadable = [str(row.pk) for row in [*lost, garbage]]
    with pytest.raises(CommandError) as raised:
        rotated(B, A)
    assert raised.value.returncode == 1
    for key in unreadable:
        assert f"idempotency_records {key}" in str(raised.value)
    assert "ünreadable" not in str(raised.value)
    told = rotated.told["idempotency_records.encrypted_body"]
    assert (told["renewed"], told["already_new"]) == (2, 0)
    assert sorted(told["unreadable"]) == sorted(unreadable)
    left = set(IdempotencyRecord.objects.values_list("pk", "encrypted_body"))
    assert len(left & untouched) == 3


def test_for_people_a_line_a_column(settings, records):
    settings.ENCRYPTION_KEYS = [A]
    records(2)
    settings.ENCRYPTION_KEYS = [B, A]
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    line = "idempotency_records.encrypted_body: 2 renewed, 0 already new, 0 unreadable"
    assert line in out.getvalue().splitlines()


def _write_after_reading(monkeypatch, write):
    """Something is written after the command has read its rows and before it writes them."""
    renew, done = crypto.renew, []

    def first_write(token):
        if not done:
            done.append(True)
            write()
        return renew(token)

    monkeypatch.setattr(crypto, "renew", first_write)


def test_what_is_written_meanwhile_is_not_overwritten(settings, workspace, rotated, monkeypatch):
    settings.ENCRYPTION_KEYS = [A]
    endpoint = Endpoint.objects.create(
        workspace=workspace,
        url="https://hooks.example.com/",
        event_types=["*"],
        encrypted_keyring=Keyring.new().encrypted(),
    )
    newer = Keyring.new()

    def write():
        # By a process that doesn't have the new key yet.
        settings.ENCRYPTION_KEYS = [A]
        Endpoint.objects.filter(pk=endpoint.pk).update(encrypted_keyring=newer.encrypted())
        settings.ENCRYPTION_KEYS = [B, A]

    _write_after_reading(monkeypatch, write)
    assert counts(rotated(B, A), "webhook_endpoints.encrypted_keyring") == (1, 0, 0)
    settings.ENCRYPTION_KEYS = [B]
    assert decrypt_keyring(Endpoint.objects.get().encrypted_keyring) == newer


def test_rows_that_come_and_go_meanwhile_do_no_harm(settings, records, rotated, monkeypatch):
    settings.ENCRYPTION_KEYS = [A]
    kept, gone = records(2)

    def write():
        IdempotencyRecord.objects.filter(pk=gone.pk).delete()
        IdempotencyRecord.objects.filter(pk=kept.pk).update(encrypted_body="")

    _write_after_reading(monkeypatch, write)
    assert counts(rotated(B, A), "idempotency_records.encrypted_body") == (0, 0, 0)
    assert IdempotencyRecord.objects.get().encrypted_body == ""
