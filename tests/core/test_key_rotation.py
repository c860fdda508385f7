"""Encryption key rotation with `manage.py rotate_secrets`."""

import json
from io import StringIO

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.core.management import CommandError, call_command

from accounts.models import IdempotencyRecord
from core.security import crypto, key_rotation
from core.security.key_rotation import rotate_all
from tests.database import statement_count
from webhooks.dispatch import custom_headers
from webhooks.dispatch.signing import Keyring, decrypt_keyring
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db

A, B = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def records(workspace):
    """`records(3)` stores three encrypted responses under the current keys."""

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
def rotate(settings):
    """`rotate(new, old)` runs the command with these keys; returns its output by column."""

    def run(*keys):
        settings.ENCRYPTION_KEYS = list(keys)
        out = StringIO()
        try:
            call_command("rotate_secrets", "--json", stdout=out)
        finally:
            columns = json.loads(out.getvalue())["columns"]
            run.columns = {f"{each['table']}.{each['column']}": each for each in columns}
        return run.columns

    return run


def counts(columns, column):
    each = columns[column]
    return each["renewed"], each["already_new"], len(each["unreadable"])


def bodies():
    return {crypto.decrypt(row.encrypted_body) for row in IdempotencyRecord.objects.all()}


def test_the_first_key_encrypts_and_all_keys_decrypt(settings):
    settings.ENCRYPTION_KEYS = [A]
    token = crypto.encrypt("x")
    settings.ENCRYPTION_KEYS = [B]
    with pytest.raises(InvalidToken):
        crypto.decrypt(token)
    settings.ENCRYPTION_KEYS = [B, A]
    assert crypto.decrypt(token) == "x"
    assert Fernet(B).decrypt(crypto.encrypt("y")) == b"y"


def test_after_rotation_the_old_key_can_be_removed(settings, api, records, rotate):
    settings.ENCRYPTION_KEYS = [A]
    body = {"endpoint": "https://hooks.example.com/", "events": ["*"]}
    plain = api.post("/webhooks", body).json()
    created = api.post("/webhooks", body | {"headers": {"X-A": "a"}, "ed25519": True}).json()
    records(3)

    columns = rotate(B, A)
    assert counts(columns, "webhook_endpoints.encrypted_keyring") == (2, 0, 0)
    assert counts(columns, "webhook_endpoints.encrypted_headers") == (
        1,
        0,
        0,
    )  # "" is not encrypted
    assert counts(columns, "idempotency_records.encrypted_body") == (3, 0, 0)

    settings.ENCRYPTION_KEYS = [B]
    assert bodies() == {"answer 0", "answer 1", "answer 2"}
    with_headers, without = (
        Endpoint.objects.get(pk=created["id"]),
        Endpoint.objects.get(pk=plain["id"]),
    )
    assert custom_headers.decrypt(with_headers.encrypted_headers) == {"X-A": "a"}
    assert without.encrypted_headers == ""
    newest = decrypt_keyring(with_headers.encrypted_keyring).newest
    assert (newest.secret, newest.public_key) == (created["signing_secret"], created["public_key"])


def test_a_second_run_changes_nothing(settings, records, rotate):
    settings.ENCRYPTION_KEYS = [A]
    records(3)
    rotate(B, A)
    before = set(IdempotencyRecord.objects.values_list("pk", "encrypted_body"))
    assert counts(rotate(B, A), "idempotency_records.encrypted_body") == (0, 3, 0)
    assert set(IdempotencyRecord.objects.values_list("pk", "encrypted_body")) == before


def test_every_encrypted_column_is_rotate(rotate):
    """A token outside of a CiphertextField would become unreadable without the old key."""
    encrypted = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.column.startswith("encrypted_")
    }
    assert set(rotate(B)) == encrypted


def test_all_rows_of_several_batches_are_rotate(settings, records, rotate, monkeypatch):
    monkeypatch.setattr(key_rotation, "BATCH", 3)
    settings.ENCRYPTION_KEYS = [A]
    records(7)
    settings.ENCRYPTION_KEYS = [B, A]
    records(2, "new")
    assert counts(rotate(B, A), "idempotency_records.encrypted_body") == (7, 2, 0)
    settings.ENCRYPTION_KEYS = [B]
    assert len(bodies()) == 9


def test_the_number_of_statements_does_not_grow_with_the_rows(settings, records):
    statements = []
    for body in ("few", "many"):
        settings.ENCRYPTION_KEYS = [A]
        records(3 if body == "few" else 300, body)
        settings.ENCRYPTION_KEYS = [B, A]
        statements.append(statement_count(lambda: list(rotate_all())))
    assert statements[0] == statements[1] <= 12


def test_undecryptable_rows_are_listed_and_the_rest_is_rotate(settings, records, rotate):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = records(2, "lost")
    settings.ENCRYPTION_KEYS = [A]
    records(2)
    garbage = records(1, "garbage")[0]
    IdempotencyRecord.objects.filter(pk=garbage.pk).update(encrypted_body="ünreadable")
    untouched = set(IdempotencyRecord.objects.values_list("pk", "encrypted_body"))

    unreadable = [str(row.pk) for row in [*lost, garbage]]
    with pytest.raises(CommandError) as raised:
        rotate(B, A)
    assert raised.value.returncode == 1
    for key in unreadable:
        assert f"idempotency_records {key}" in str(raised.value)
    assert "ünreadable" not in str(raised.value)
    output = rotate.columns["idempotency_records.encrypted_body"]
    assert (output["renewed"], output["already_new"]) == (2, 0)
    assert sorted(output["unreadable"]) == sorted(unreadable)
    remaining = set(IdempotencyRecord.objects.values_list("pk", "encrypted_body"))
    assert len(remaining & untouched) == 3


def test_the_text_output_has_a_line_per_column(settings, records):
    settings.ENCRYPTION_KEYS = [A]
    records(2)
    settings.ENCRYPTION_KEYS = [B, A]
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    line = "idempotency_records.encrypted_body: 2 re-encrypted, 0 already current, 0 unreadable"
    assert line in out.getvalue().splitlines()


def _write_concurrently(monkeypatch, write):
    """Call `write` after the command has read its rows and before it updates them."""
    rotate, done = crypto.rotate, []

    def write_first(token):
        if not done:
            done.append(True)
            write()
        return rotate(token)

    monkeypatch.setattr(crypto, "rotate", write_first)


def test_concurrent_writes_are_not_overwritten(settings, workspace, rotate, monkeypatch):
    settings.ENCRYPTION_KEYS = [A]
    endpoint = Endpoint.objects.create(
        workspace=workspace,
        url="https://hooks.example.com/",
        event_types=["*"],
        encrypted_keyring=Keyring.new().encrypted(),
    )
    newer = Keyring.new()

    def write():
        # By a process that does not have the new key yet.
        settings.ENCRYPTION_KEYS = [A]
        Endpoint.objects.filter(pk=endpoint.pk).update(encrypted_keyring=newer.encrypted())
        settings.ENCRYPTION_KEYS = [B, A]

    _write_concurrently(monkeypatch, write)
    assert counts(rotate(B, A), "webhook_endpoints.encrypted_keyring") == (1, 0, 0)
    settings.ENCRYPTION_KEYS = [B]
    assert decrypt_keyring(Endpoint.objects.get().encrypted_keyring) == newer


def test_rows_deleted_or_emptied_concurrently_are_skipped(settings, records, rotate, monkeypatch):
    settings.ENCRYPTION_KEYS = [A]
    kept, gone = records(2)

    def write():
        IdempotencyRecord.objects.filter(pk=gone.pk).delete()
        IdempotencyRecord.objects.filter(pk=kept.pk).update(encrypted_body="")

    _write_concurrently(monkeypatch, write)
    assert counts(rotate(B, A), "idempotency_records.encrypted_body") == (0, 0, 0)
    assert IdempotencyRecord.objects.get().encrypted_body == ""
