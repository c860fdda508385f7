"""Importing and exporting suppressions as CSV: results, errors, statements and memory."""

import csv
import io
import json
import tracemalloc
from types import SimpleNamespace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from contacts import suppression_csv
from contacts.suppression_csv import import_suppressions
from events.models import Event
from tests.database import suppressions

pytestmark = pytest.mark.django_db


def send(api, text):
    raw = text if isinstance(text, bytes) else text.encode()
    answer = api.generic("POST", "/suppressions/import", raw, content_type="text/csv")
    assert answer["content-type"] == "application/json"
    return answer


def import_csv(api, text):
    answer = send(api, text)
    assert answer.status_code == 200, answer.content
    return report_of(answer)


def report_of(answer):
    return json.loads(b"".join(answer.streaming_content))


def export(api, query="", **headers):
    answer = api.get(f"/suppressions/export{query}", headers=headers)
    assert answer["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


# --- Import ---------------------------------------------------------------------------


def test_importing_a_file_with_reasons(api, published):
    api.post("/suppressions", {"email": "kept@example.net", "reason": "complaint"})
    result = import_csv(
        api,
        "Name,Email,Reason\r\n"
        '"Lee, Ann",Ann@example.net,bounce\r\n'
        "Bob,bob@bücher.example,\r\n"
        "\r\n"
        "Ann again,ann@example.net,Complaint\r\n"
        'Kept,"kept@example.net",bounce',
    )
    assert result == {
        "object": "suppression_import",
        "lines": 4,
        "added": 2,
        "already_suppressed": 2,
        "invalid": 0,
        "unknown_reasons": 0,
        "errors": [],
    }
    assert suppressions() == {
        "ann@example.net": "complaint",
        "bob@xn--bcher-kva.example": "manual",
        "kept@example.net": "complaint",
    }
    assert len(published("suppression.added")) == 3


@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n"])
def test_plain_addresses_need_no_header(api, start):
    assert import_csv(api, f"{start}a@example.net\nb@example.net\n")["added"] == 2


def test_importing_a_file_from_a_form(api):
    file = SimpleUploadedFile("s.csv", b"\xef\xbb\xbfemail\na@example.net\n", "text/csv")
    answer = api.post("/suppressions/import", {"file": file}, format="multipart")
    assert (answer.status_code, report_of(answer)["added"]) == (200, 1)


def part(headers, content=b"a@example.net"):
    return b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (headers, content)


@pytest.mark.parametrize(
    ("form", "kind", "problem"),
    [
        (b"x", "multipart/form-data", "boundary"),
        (b"x", "multipart/form-data; boundary=\u00fc", "boundary"),
        (part(b'name="file"'), "", "needs a filename"),
        (part(b'name="file"', b"a@example.net\n" * 250_000), "", "needs a filename"),
        (part(b'name="a"') * 1500, "", "must be the only field"),
        (part(b'name="a"; filename="a"') * 150, "", "must be the only field"),
        (part(b'name="other"; filename="a"'), "", "is required"),
        (part(b'name="file"; filename=""'), "", "needs a filename"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_form_without_a_file_is_refused_with_the_problem(api, form, kind, problem):
    kind = kind or "multipart/form-data; boundary=x"
    answer = api.generic("POST", "/suppressions/import", form + b"--x--\r\n", content_type=kind)
    assert answer.status_code == 422, answer.content
    assert problem in answer.json()["details"]["fields"]["file"]
    assert "settings" not in answer.json()["message"]


def test_invalid_lines_are_reported_by_number_and_affect_no_others(api):
    lines = [
        b"origin,email",
        b"bounce,a@example.net",
        b"bounce,nonsense",
        b'bounce,"b"@example.net',
        b"c@example.net",
        b"bounce,\xff@example.net",
        b"bounce,success@simulator.amazonses.com",
        b"bounce," + b"x" * 200_000 + b"@example.net",
        b"bounce,nul\x00@example.net",
        b"bounce,d@example.net",
        b'bounce,"unclosed',
        b"bounce,e@example.net",
    ]
    result = import_csv(api, b"\n".join(lines))
    assert (result["lines"], result["added"], result["invalid"]) == (10, 2, 8)
    messages = {error["line"]: error["message"] for error in result["errors"]}
    assert list(messages) == [3, 4, 5, 6, 7, 8, 9, 11]
    assert "`nonsense`" in messages[3]
    assert "a quote inside a cell" in messages[4]
    assert "cells" in messages[5]
    assert "UTF-8" in messages[6]
    assert "simulator" in messages[7]
    assert "characters" in messages[8]
    assert "lines 11 to 12 were not read" in messages[11]
    assert suppressions().keys() == {"a@example.net", "d@example.net"}


def test_only_the_first_invalid_lines_are_reported(api):
    result = import_csv(api, "email\n" + "bad\n" * 150)
    assert (result["invalid"], len(result["errors"])) == (150, suppression_csv.MAX_ERRORS)


@pytest.mark.parametrize(
    "text",
    ["", "\n \n", "name,reason\nann,bounce", "a@example.net,bounce", '"email', "\x00" * 20_000],
)
def test_an_invalid_file_is_refused(api, text):
    answer = send(api, text)
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"file"}
    assert not suppressions()


def test_a_missing_file_is_refused(api):
    for form in ({}, {"file": "a@example.net"}):
        answer = api.post("/suppressions/import", form, format="multipart")
        assert (answer.status_code, answer.json()["name"]) == (422, "missing_required_field")


def test_a_json_body_is_refused(api):
    answer = api.post("/suppressions/import", {"emails": []})
    assert (answer.status_code, answer.json()["name"]) == (415, "unsupported_media_type")


def test_importing_a_file_twice_adds_nothing_new(api, published):
    text = "email\n" + "".join(f"r{number}@example.net\n" for number in range(2500))
    assert import_csv(api, text)["added"] == 2500
    again = import_csv(api, text)
    assert (again["added"], again["already_suppressed"]) == (0, 2500)
    assert len(published("suppression.added")) == 2500


def test_a_longer_file_takes_no_more_memory(workspace, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(suppression_csv, "suppress", lambda requests: [])
    peaks = []
    for batches in (5, 20):
        count = batches * suppression_csv.BATCH
        chunks = iter([b"email\n"] + [b"r%012d@example.net\n" % n for n in range(count)])
        tracemalloc.start()
        file = SimpleNamespace(read=lambda size, chunks=chunks: next(chunks, b""))
        *_, result = import_suppressions(workspace, file)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.lines == count
    assert peaks[1] < 1.2 * peaks[0]


def test_an_endless_line_takes_no_memory(workspace):
    chunks = iter([b"email\n"] + [b"x" * 2**16] * 160 + [b"\na@example.net"])
    tracemalloc.start()
    file = SimpleNamespace(read=lambda size: next(chunks, b""))
    *_, result = import_suppressions(workspace, file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result.added, result.errors[0].line) == (1, 2)
    assert peak < 2**20


def test_each_batch_of_lines_is_one_transaction(workspace, django_assert_num_queries):
    text = "".join(f"r{number}@example.net\n" for number in range(3 * suppression_csv.BATCH))
    with django_assert_num_queries(3 * 4):  # savepoint, rows, events, release
        list(import_suppressions(workspace, io.BytesIO(text.encode())))


def test_a_long_import_streams_progress_and_keeps_its_request_id(api, monkeypatch):
    monkeypatch.setattr(suppression_csv, "BATCH", 2)
    text = "".join(f"r{number}@example.net\n" for number in range(7))
    answer = api.generic(
        "POST", "/suppressions/import", text, content_type="text/csv", headers={"x-request-id": "q"}
    )
    first, *rest, last = answer.streaming_content
    assert {first, *rest} == {b" "}
    assert len(rest) >= 3
    assert json.loads(last)["added"] == 7
    assert set(Event.objects.values_list("request_id", flat=True)) == {"q"}


# --- Export ---------------------------------------------------------------------------


def test_an_export_lists_the_oldest_first(api, monkeypatch):
    monkeypatch.setattr(suppression_csv, "EXPORT_BATCH", 2)
    created = [
        api.post("/suppressions", {"email": f"r{number}@example.net"}).json() for number in range(5)
    ]
    rows = export(api, Accept="text/csv")
    assert [row["email"] for row in rows] == [each["email"] for each in created]
    assert rows[0] == {
        "email": "r0@example.net",
        "origin": "manual",
        "source_id": "",
        "created_at": created[0]["created_at"],
    }


def test_an_export_can_be_filtered(api):
    for origin in ("bounce", "complaint"):
        api.post("/suppressions", {"email": f"{origin}@example.net", "reason": origin})
    assert [row["email"] for row in export(api, "?origin=bounce")] == ["bounce@example.net"]


def test_an_empty_export_is_only_the_header(api):
    answer = api.get("/suppressions/export")
    assert b"".join(answer.streaming_content) == b"email,origin,source_id,created_at\r\n"


def test_an_export_can_be_imported(api, stranger):
    for origin in ("bounce", "complaint"):
        api.post("/suppressions", {"email": f"{origin}@example.net", "reason": origin})
    text = b"".join(api.get("/suppressions/export").streaming_content)
    assert import_csv(stranger, text)["added"] == 2
    assert [row["origin"] for row in export(stranger)] == ["bounce", "complaint"]


def test_an_error_is_json_whatever_is_accepted(client_for):
    answer = client_for("os_unknown").get("/suppressions/export", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer["content-type"]) == (403, "application/json")
