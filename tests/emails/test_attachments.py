"""Attachments: validation, storage, fetching, sending, listing and cleanup."""

import time
from base64 import b64encode, encodebytes
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from hashlib import sha256
from http.server import HTTPServer
from ipaddress import ip_network

import psycopg
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.blobs import blobs
from core.db.ids import uuid7
from core.errors import ValidationFailed
from core.server.waits import request_in_lane
from emails import orphan_blobs
from emails.api import remote_attachments
from emails.api.bodies import SendEmail
from emails.content import attachments
from emails.models import Email, EmailAttachment
from emails.providers import NotTaken
from emails.sending.loop import send_due
from tests.clients import QuietHandler, rejected_fields, serving

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7 \x00\xff"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.BLOB_STORE = str(tmp_path)


@pytest.fixture
def attach(send):
    """`attach({...}, ...)` posts a message with these attachments."""
    return lambda *items, **changes: send(attachments=list(items), **changes)


@pytest.fixture
def break_blob_store(blob_store, settings, tmp_path, request):
    """Call it to make the blob store unavailable."""

    def break_it():
        if settings.BLOB_STORE.startswith("s3://"):
            twin = request.getfixturevalue("s3_twin")
            twin.fail(GetObject="AccessDenied", PutObject="AccessDenied")
        else:
            (tmp_path / "file").write_text("in the way")
            settings.BLOB_STORE = str(tmp_path / "file")

    return break_it


@pytest.fixture
def session_of():
    """`session_of()`: the backend pid of our session; `session_of(pid)`: None once it is closed."""

    def ours():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    def find(pid):
        statement = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as another:
            for _ in range(50):  # closing a session takes a moment
                state = another.execute(statement, [pid]).fetchone()
                if state is None:
                    return None
                time.sleep(0.02)
        return state[0]

    return lambda pid=None: ours() if pid is None else find(pid)


@pytest.fixture
def web(settings):
    """A web server: `web["/a.pdf"] = (status, body)`; `web.url(path)` is its URL.

    `web.fetched` has the fetched paths; `web.on_fetch()` is called for each.
    """
    settings.ATTACHMENT_ALLOW_HTTP = True
    settings.ATTACHMENT_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]

    class Pages(dict):
        on_fetch = staticmethod(lambda: None)

        def url(self, path):
            return f"http://127.0.0.1:{server.server_port}{path}"

    pages = Pages()
    pages.fetched = []

    class Handler(QuietHandler):
        def do_GET(self):
            pages.fetched.append(self.path)
            pages.on_fetch()
            status, body = pages[self.path]
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield pages


def base64(content):
    return b64encode(content).decode()


def rows(answer):
    assert answer.status_code == 200, answer.json()
    return list(EmailAttachment.objects.filter(email=answer.json()["id"]).order_by("position"))


def stored_keys():
    return blobs().keys("emails/", after="", limit=1000)


def test_an_attachment_is_a_row_and_a_blob(blob_store, attach, domain):
    (row,) = rows(attach({"filename": "a.pdf", "content": base64(PDF)}))

    assert (row.filename, row.content_type, row.content_id) == ("a.pdf", "application/pdf", "")
    assert (row.size, row.sha256) == (len(PDF), sha256(PDF).hexdigest())
    assert blobs().read(row.blob_key) == PDF
    assert row.email.attachment_count == 1


@pytest.mark.parametrize(
    ("attachment", "expected"),
    [
        ({"filename": "a.pdf", "content": list(PDF)}, ("a.pdf", "application/pdf", "")),
        ({"filename": " a ", "content": ""}, ("a", "application/octet-stream", "")),
        ({"filename": "a.eml", "content": ""}, ("a.eml", "application/octet-stream", "")),
        ({"filename": "a.tar.gz", "content": ""}, ("a.tar.gz", "application/octet-stream", "")),
        (
            {"filename": "a.ics", "content": "", "content_type": "text/calendar; method=REQUEST"},
            ("a.ics", "text/calendar; method=REQUEST", ""),
        ),
        ({"filename": "a.png", "content": "", "content_id": "l@x"}, ("a.png", "image/png", "l@x")),
        (
            {"filename": "a.png", "content": "", "inline_content_id": "l"},
            ("a.png", "image/png", "l"),
        ),
    ],
)
def test_filename_type_and_content_id(attach, domain, attachment, expected):
    (row,) = rows(attach(attachment))
    assert (row.filename, row.content_type, row.content_id) == expected


@pytest.mark.parametrize(
    ("attachment", "field", "problem"),
    [
        ({"filename": "a"}, "", "either `content` or `path`"),
        (
            {"filename": "a", "content": "", "path": "https://example.com/a"},
            "",
            "either `content` or `path`",
        ),
        ({"filename": "a", "content": "a*b"}, ".content", "base64"),
        ({"filename": "a", "content": "aGk"}, ".content", "base64"),
        ({"filename": "a", "content": [256]}, ".content", "0 to 255"),
        ({"filename": "a", "content": [-1]}, ".content", "0 to 255"),
        ({"filename": "a", "content": [1.5]}, ".content", "byte values"),
        ({"filename": "a", "content": [True]}, ".content", "byte values"),
        ({"filename": "a", "content": {}}, ".content", "byte values"),
        ({"content": ""}, "", "file's name"),
        ({"filename": "../a", "content": ""}, ".filename", "without a path"),
        ({"filename": "a\\b", "content": ""}, ".filename", "without a path"),
        ({"filename": "a\r\nBcc: x", "content": ""}, ".filename", "control"),
        ({"filename": " ", "content": ""}, ".filename", "file's name"),
        ({"filename": "=?utf-8?b?Lg==?=", "content": ""}, ".filename", "encoded word"),
        ({"path": "https://example.com/"}, "", "file's name"),
        ({"filename": "a" * 256, "content": ""}, ".filename", "255"),
        ({"filename": "a", "content": "", "content_type": "pdf"}, ".content_type", "media type"),
        (
            {"filename": "a", "content": "", "content_type": "a/b\r\nX: y"},
            ".content_type",
            "media type",
        ),
        ({"filename": "a", "content": "", "content_id": "<a"}, ".content_id", "1 to 128"),
        ({"filename": "a", "content": "", "content_id": ""}, ".content_id", "1 to 128"),
        (
            {"filename": "a", "content": "", "content_id": "a", "inline_content_id": "b"},
            "",
            "same thing",
        ),
        ({"filename": "a", "content": "", "size": 1}, ".size", "not a field"),
    ],
)
def test_invalid_attachments_are_rejected_by_field(attach, domain, attachment, field, problem):
    good = {"filename": "good", "content": ""}
    fields = rejected_fields(attach(good, attachment))
    assert problem in fields[f"attachments.1{field}"]
    assert not Email.objects.exists()
    assert not stored_keys()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_base64_may_have_line_breaks(attach, domain, line_end):
    content = encodebytes(PDF * 20).decode().replace("\n", line_end)

    (row,) = rows(attach({"filename": "a.pdf", "content": content}))
    assert blobs().read(row.blob_key) == PDF * 20


def test_content_ids_must_be_unique(attach, domain):
    one = {"filename": "a", "content": "", "content_id": "a"}
    assert "content_id" in rejected_fields(attach(one, one))["attachments"]


def test_attachments_are_limited_to_40_mib_in_total(attach, domain):
    # 57 bytes become a line of 78; some space is reserved for header fields and the text.
    room = (40 * 1024 - 54) * 1024 // 78 * 57
    half = base64(b"a" * (room // 2))
    assert (
        "40 MiB"
        in rejected_fields(attach({"filename": "a", "content": base64(b"a" * (room + 4096))}))[
            "attachments"
        ]
    )
    assert attach(*[{"filename": "a", "content": half}] * 2).status_code == 200
    assert (
        "40 MiB"
        in rejected_fields(attach(*[{"filename": "a", "content": half}] * 3))["attachments"]
    )


@pytest.mark.parametrize(
    ("sizes", "field"),
    [
        ({"html": 41}, "html"),
        ({"text": 41}, "text"),
        ({"html": 15, "text": None}, "html"),  # which also becomes the text part
        ({"html": 30, "text": ""}, "html"),
        ({"html": 10, "text": 20}, "text"),
        ({"html": 10, "attachments": 20}, "attachments"),
        ({"html": 20, "attachments": 10}, "html"),
    ],
)
def test_a_message_larger_than_40_mib_is_rejected(message, sizes, field):
    def sized(name, mebibytes):
        text = "a" * (mebibytes * 1024 * 1024)
        return [{"filename": "a", "content": base64(text.encode())}] if name[0] == "a" else text

    fields = {name: sized(name, each) if each else each for name, each in sizes.items()}
    with pytest.raises(ValidationFailed, match="40 MiB") as refused:
        SendEmail.parse(message | fields)
    assert list(refused.value.details["fields"]) == [field]


def test_a_message_just_below_40_mib_is_accepted(message):
    SendEmail.parse(message | {"html": "a" * 28_000_000})
    SendEmail.parse(message | {"html": "a" * 14_000_000, "text": "é" * 7_000_000})


def test_a_remote_file_must_fit_with_the_texts(attach, domain, web):
    web["/a"] = (200, b"a" * (10 * 1024 * 1024))
    fields = rejected_fields(attach({"path": web.url("/a")}, html="a" * (20 * 1024 * 1024)))
    assert "40 MiB" in fields["attachments.0.path"]


def test_each_email_of_a_batch_has_its_own_attachments(blob_store, api, domain, message):
    def one(*names):
        return message | {
            "attachments": [{"filename": name, "content": base64(name.encode())} for name in names]
        }

    answer = api.post("/emails/batch", [one("a", "b"), message, one("c")])

    contents = [
        [blobs().read(row.blob_key) for row in EmailAttachment.objects.filter(email=each["id"])]
        for each in answer.json()["data"]
    ]
    assert contents == [[b"a", b"b"], [], [b"c"]]


def test_an_invalid_attachment_in_a_batch_is_named_by_index(api, domain, message):
    answer = api.post("/emails/batch", [message, message | {"attachments": [{"filename": "a"}]}])
    assert list(rejected_fields(answer)) == ["1.attachments.0"]


def test_an_email_without_attachments_takes_no_extra_statement(send, domain):
    with CaptureQueriesContext(connection) as statements:
        assert send().status_code == 200
    assert not [each for each in statements if "email_attachments" in each["sql"]]


def test_a_remote_file_is_fetched(attach, domain, web):
    web["/files/a%20b.pdf"] = (200, PDF)

    (row, renamed) = rows(
        attach(
            {"path": web.url("/files/a%20b.pdf")},
            {"path": web.url("/files/a%20b.pdf"), "filename": "c.txt"},
        )
    )
    assert (row.filename, row.content_type) == ("a b.pdf", "application/pdf")
    assert (renamed.filename, renamed.content_type) == ("c.txt", "text/plain")
    assert blobs().read(row.blob_key) == blobs().read(renamed.blob_key) == PDF


@pytest.mark.parametrize("status", [404, 302, 204, 500])
def test_a_failed_fetch_is_an_error(attach, domain, web, status):
    web["/a"] = (status, b"")
    fields = rejected_fields(attach({"filename": "a", "content": ""}, {"path": web.url("/a")}))
    assert str(status) in fields["attachments.1.path"]
    assert not stored_keys()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com/a", "use https://"),
        ("https://127.0.0.1/a", "use a public host"),
        ("https://169.254.169.254/a", "use a public host"),
        ("file:///etc/passwd", "not"),
        ("https://user:password@example.com/a", "password"),
    ],
)
def test_forbidden_urls_are_not_fetched(attach, domain, url, problem):
    assert problem in rejected_fields(attach({"filename": "a", "path": url}))["attachments.0.path"]


def test_a_remote_file_that_is_too_large_is_rejected(attach, domain, web):
    web["/a"] = (200, b"a" * (31 * 1024 * 1024))
    assert "40 MiB" in rejected_fields(attach({"path": web.url("/a")}))["attachments.0.path"]


def test_a_permissive_batch_rejects_only_the_email_with_a_failed_fetch(api, domain, message, web):
    web["/a"] = (404, b"")
    bad = message | {"attachments": [{"path": web.url("/a")}]}
    answer = api.post("/emails/batch", [bad, message], headers={"x-batch-validation": "permissive"})
    assert len(answer.json()["data"]) == 1
    assert [each["index"] for each in answer.json()["errors"]] == [0]


def test_nothing_is_accepted_while_the_blob_store_is_unavailable(break_blob_store, attach, domain):
    break_blob_store()

    answer = attach({"filename": "a", "content": ""})

    assert (answer.status_code, answer.json()["name"]) == (503, "storage_unavailable")
    assert not Email.objects.exists()


def test_an_idempotency_key_covers_attachments(api, domain, message):
    def post(content):
        body = message | {"attachments": [{"filename": "a", "content": base64(content)}]}
        return api.post("/emails", body, headers={"Idempotency-Key": "one"})

    first = post(b"a")
    assert post(b"a").json() == first.json()
    assert post(b"b").status_code == 409
    assert len(stored_keys()) == 1


@pytest.mark.parametrize("path", ["/emails", "/emails/batch"])
def test_a_repeated_request_fetches_nothing(api, domain, message, web, path):
    web["/a"] = web["/b"] = (200, PDF)

    def post(name):
        body = message | {"attachments": [{"path": web.url(name)}]}
        many = [body] if path == "/emails/batch" else body
        return api.post(path, many, headers={"Idempotency-Key": "one"})

    first = post("/a")
    again, other = post("/a"), post("/b")

    assert (first.status_code, again.json()) == (200, first.json())
    assert (again["Idempotent-Replayed"], other.status_code) == ("true", 409)
    assert web.fetched == ["/a"]
    assert len(stored_keys()) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["strict", "permissive"])
def test_no_database_connection_is_held_during_a_fetch(api, domain, message, web, mode, session_of):
    web["/a"] = (200, PDF)
    ours, seen = session_of(), []
    web.on_fetch = lambda: seen.append(session_of(ours))

    with request_in_lane(lambda: None):
        answer = api.post(
            "/emails/batch",
            [message | {"attachments": [{"path": web.url("/a")}]}],
            headers={"Idempotency-Key": "one", "x-batch-validation": mode},
        )

    assert (answer.status_code, len(answer.json()["data"])) == (200, 1)
    assert seen == [None]


def test_concurrent_requests_with_one_key_accept_one_email(api, domain, message, web):
    """The second request arrives while the first one fetches its file."""
    web["/a"] = (200, PDF)
    body = message | {"attachments": [{"path": web.url("/a")}]}
    first = None

    def post():
        return api.post("/emails", body, headers={"Idempotency-Key": "one"})

    fetch = remote_attachments.AttachmentFetcher._get

    def get_after_another_request(fetcher, *args):
        nonlocal first
        monkeypatch.setattr(remote_attachments.AttachmentFetcher, "_get", fetch)
        first = post()
        return fetch(fetcher, *args)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(remote_attachments.AttachmentFetcher, "_get", get_after_another_request)
        second = post()

    assert (second.status_code, second.json()) == (200, first.json())
    assert second["Idempotent-Replayed"] == "true"
    assert (Email.objects.count(), len(stored_keys())) == (1, 1)


def test_attachments_are_sent(blob_store, accepted, provider):
    accepted(
        attachments=[
            {"filename": "logo.png", "content": base64(b"png"), "content_id": "logo"},
            {"filename": "a.pdf", "content": base64(PDF)},
        ],
        html='<img src="cid:logo">',
    )

    assert send_due().claimed == 1

    sent = message_from_bytes(provider.sent[0].mime, policy=default)
    assert sent.get_content_type() == "multipart/mixed"
    (pdf,) = sent.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("a.pdf", PDF)
    (logo,) = (part for part in sent.walk() if part["Content-ID"])
    assert (logo["Content-ID"], logo.get_content()) == ("<logo>", b"png")


def test_an_email_with_a_missing_blob_fails_with_the_reason(blob_store, accepted, provider):
    email = accepted(attachments=[{"filename": "a.pdf", "content": ""}])
    blobs().delete([email.attachments.get().blob_key])

    assert send_due().claimed == 1

    email.refresh_from_db()
    assert (email.status, provider.sent) == ("failed", [])
    assert "a.pdf is missing" in email.last_error


def test_an_email_is_deferred_while_the_blob_store_is_unavailable(
    break_blob_store, accepted, provider
):
    email = accepted(attachments=[{"filename": "a.pdf", "content": ""}])
    break_blob_store()

    assert send_due().claimed == 1

    email.refresh_from_db()
    assert (email.status, provider.sent) == ("queued", [])
    assert "could not be read" in email.last_error


def test_large_attachments_wait_for_memory(attach, domain, settings, monkeypatch):
    settings.ATTACHMENT_BYTES_IN_FLIGHT = 10
    monkeypatch.setattr(attachments, "_MEMORY_TIMEOUT", 0.01)
    large, small = rows(
        attach(
            {"filename": "a", "content": base64(b"a" * 11)},
            {"filename": "b", "content": base64(b"b")},
        )
    )

    with attachments.load([large]) as (part,):  # larger than the whole budget: sent alone
        assert part.content == b"a" * 11
        with pytest.raises(NotTaken), attachments.load([small]):
            pass
    with attachments.load([small]), attachments.load([small]):
        pass


def test_attachments_are_listed_with_links(blob_store, api, attach, domain, download):
    answer = attach(
        {"filename": "a.pdf", "content": base64(PDF)},
        {"filename": "b.png", "content": "", "content_id": "logo"},
    )
    path = f"/emails/{answer.json()['id']}/attachments"

    listed = api.get(path).json()

    assert (listed["object"], listed["has_more"]) == ("list", False)
    first, second = listed["data"]
    link = first.pop("download_url")
    expires_at = first.pop("expires_at")
    assert first == {
        "object": "attachment",
        "id": str(rows(answer)[0].pk),
        "filename": "a.pdf",
        "content_type": "application/pdf",
        "content_disposition": "attachment",
        "content_id": None,
        "size": len(PDF),
    }
    assert (second["content_disposition"], second["content_id"]) == ("inline", "logo")
    assert download(link)[0] == PDF
    left = timezone.datetime.fromisoformat(expires_at) - timezone.now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert api.get(f"{path}/{second['id']}").json()["filename"] == "b.png"
    assert api.get(path, {"limit": 1}).json()["has_more"]


def test_another_workspace_sees_no_attachments(api, stranger, attach, send, domain):
    answer = attach({"filename": "a.pdf", "content": ""})
    path = f"/emails/{answer.json()['id']}/attachments"
    (row,) = rows(answer)

    assert stranger.get(path).status_code == 404
    assert stranger.get(f"{path}/{row.pk}").status_code == 404
    assert api.get(f"{path}/{uuid7()}").status_code == 404
    other = f"/emails/{send().json()['id']}/attachments"
    assert api.get(other).json()["data"] == []
    assert api.get(f"{other}/{row.pk}").status_code == 404


def test_orphaned_blobs_are_deleted_after_a_day(blob_store, attach, domain):
    kept = rows(attach({"filename": "a", "content": ""}))[0].blob_key
    gone = rows(attach({"filename": "b", "content": ""}))[0]
    blobs().put(attachments.blob_key(uuid7(), 0), b"its transaction was rolled back")
    blobs().put(f"{kept}.0123.part", b"its process crashed")
    Email.objects.filter(pk=gone.email_id).delete()

    assert orphan_blobs.delete_orphans() == 0
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=2)):
        orphan_blobs._save_position("")
        assert orphan_blobs.delete_orphans() == 3
        assert stored_keys() == [kept]


def test_the_orphan_scan_resumes_at_its_position(blob_store, attach, domain, monkeypatch):
    monkeypatch.setattr(orphan_blobs, "_PAGE", 2)
    keys = [rows(attach({"filename": "a", "content": ""}))[0].blob_key for _ in range(3)]
    EmailAttachment.objects.all().delete()

    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=2)):
        orphan_blobs._save_position(keys[0])
        assert orphan_blobs.delete_orphans() == 2
        assert stored_keys() == keys[:1]
        assert orphan_blobs.delete_orphans() == 0  # finished: the next scan starts a day later


def test_a_batch_with_all_kinds_of_emails(blob_store, api, domain, message, web):
    """All kinds of attachments, a scheduled email, invalid emails, and a repeated request."""
    web["/c.txt"], web["/gone"] = (200, b"c"), (404, b"")
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    batch = [
        message | {"attachments": [{"filename": "a", "content": base64(b"a")}]},
        message | {"attachments": [{"path": web.url("/gone")}]},
        message | {"attachments": [{"path": web.url("/c.txt")}], "scheduled_at": later},
        message | {"scheduled_at": "the day before yesterday"},
        message | {"from": "ada@other.example", "attachments": [{"filename": "e"}]},
        message | {"from": "ada@other.example"},
        message,
    ]
    headers = {"Idempotency-Key": "one", "x-batch-validation": "permissive"}

    first = api.post("/emails/batch", batch, headers=headers)
    again = api.post("/emails/batch", batch, headers=headers)
    strict = api.post("/emails/batch", batch, headers={"Idempotency-Key": "one"})

    assert first.status_code == 200
    assert [each["index"] for each in first.json()["errors"]] == [1, 3, 4, 5]
    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
    assert strict.status_code == 409
    emails = [Email.objects.get(pk=each["id"]) for each in first.json()["data"]]
    assert [email.status for email in emails] == ["queued", "scheduled", "queued"]
    assert [email.attachment_count for email in emails] == [1, 1, 0]
    assert Email.objects.count() == 3
    kept = {row.blob_key: row.email_id for row in EmailAttachment.objects.all()}
    assert sorted(kept) == stored_keys()
    assert [blobs().read(key) for key in sorted(kept)] == [b"a", b"c"]
    assert sorted(web.fetched) == ["/c.txt", "/gone"]
