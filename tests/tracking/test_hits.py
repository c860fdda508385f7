"""Opens and clicks: answered without the database and recorded by a background thread."""

import time
from multiprocessing import get_context
from threading import Event
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from core import metrics
from core.queue.background import Background
from tests.database import missing_database
from tracking import hit_writer
from tracking.click_bursts import CLASSIFY_AFTER
from tracking.hits import hit
from tracking.models import Hit
from tracking.tasks import purge_old_hits
from tracking.tokens import HONEYPOT, Click, Open, sign_click, sign_open

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"
EMAIL = UUID("0197a3d1-0a0b-7c0d-8e0f-101112131415")
RECIPIENT = UUID("0197a3d1-0a0b-7c0d-8e0f-101112131416")
TARGET = "https://shop.test/a?b=1&c=%C3%BC#d"

writes_hits = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reader():
    return Client(headers={"User-Agent": BROWSER})


@pytest.fixture(autouse=True)
def _flush_hits():
    yield
    assert hit_writer.flush(10)


def open_url(recipient=RECIPIENT):
    return f"/t/o/{sign_open(Open(EMAIL, recipient))}.gif"


def click_url(target=TARGET, link=1, links=3):
    return f"/t/c/{sign_click(Click(EMAIL, RECIPIENT, link, links, target))}"


def only_hit():
    assert hit_writer.flush(10)
    return Hit.objects.get()


# --- Responses, tested without database access ----------------------------------------


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_click_redirects_without_the_database(reader, method):
    answer = getattr(reader, method)(click_url())
    assert (answer.status_code, answer["Location"]) == (302, TARGET)
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert not answer.cookies


@pytest.mark.parametrize("method", ["get", "head"])
def test_the_open_pixel_is_served_without_the_database(reader, method):
    answer = getattr(reader, method)(open_url())
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
    assert answer.content[:6] == (b"GIF89a" if method == "get" else b"")
    assert answer["Cache-Control"] == "no-store, private"
    assert not answer.cookies


def test_the_hidden_link_does_not_redirect(reader):
    answer = reader.get(click_url("", HONEYPOT))
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "Location" not in answer


@pytest.mark.parametrize(
    "url",
    [
        "/t/c/abc",
        "/t/c/https://evil.test/",
        "/t/o/abc.gif",
        click_url()[:-1],
        click_url() + "A",
        click_url().replace("/c/", "/o/") + ".gif",
        open_url().replace("/o/", "/c/").removesuffix(".gif"),
    ],
)
def test_an_invalid_token_is_a_404_without_redirect(reader, url):
    answer = reader.get(url)
    assert answer.status_code == 404
    assert "Location" not in answer


def test_tracking_urls_refuse_post(reader):
    assert reader.post(click_url()).status_code == 405


def test_hits_above_the_queue_size_are_counted_and_answered(reader, monkeypatch):
    lost = metrics.HITS_LOST._value.get()
    finish = Event()
    stuck = Background("stuck", lambda hits: finish.wait(), maxsize=1)
    with monkeypatch.context() as patch:
        patch.setattr(hit_writer, "_writer", stuck)
        for _ in range(3):
            assert reader.get(click_url()).status_code == 302
    finish.set()
    assert metrics.HITS_LOST._value.get() == lost + 2


# --- Recorded hits --------------------------------------------------------------------


@writes_hits
def test_a_click_is_recorded_and_due_for_classification(reader):
    before = timezone.now()
    reader.get(click_url(), REMOTE_ADDR="198.51.100.77")
    hit = only_hit()
    assert (hit.kind, hit.email_id, hit.recipient_id) == ("click", EMAIL, RECIPIENT)
    assert (hit.link, hit.links, hit.target) == (1, 3, TARGET)
    assert (hit.user_agent, hit.network, hit.reasons) == (BROWSER, "198.51.100.0", [])
    assert before <= hit.at <= timezone.now()
    assert (hit.next_attempt_at - hit.at, hit.verdict) == (CLASSIFY_AFTER, "")


@writes_hits
def test_an_open_of_a_message_to_several_has_no_recipient(reader):
    reader.get(open_url(None))
    hit = only_hit()
    assert (hit.kind, hit.email_id, hit.recipient_id) == ("open", EMAIL, None)


@writes_hits
@pytest.mark.parametrize(
    ("method", "headers", "reasons"),
    [
        ("head", {}, ["head_request"]),
        ("get", {"Sec-Purpose": "prefetch;prerender"}, ["prefetch"]),
        ("get", {"Purpose": "prefetch"}, ["prefetch"]),
        ("get", {"X-Purpose": "preview"}, ["prefetch"]),
        ("get", {"X-Moz": "prefetch"}, ["prefetch"]),
        ("get", {"Purpose": "x"}, []),
    ],
)
def test_a_request_with_signals_of_a_machine(reader, method, headers, reasons):
    getattr(reader, method)(click_url(), headers=headers)
    assert only_hit().reasons == reasons


@writes_hits
@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("198.51.100.77", "", "198.51.100.0"),
        ("2001:db8:1:2::3", "", "2001:db8:1::"),
        ("::ffff:198.51.100.77", "", "198.51.100.0"),
        ("10.0.0.1", "8.8.4.77", "8.8.4.0"),
        ("127.0.0.1", "1.1.1.1, 8.8.4.77", "8.8.4.0"),
        ("8.8.8.8", "8.8.4.77", "8.8.8.0"),
        ("", "2a00:1450:4001:82f::200e", "2a00:1450:4001::"),
        ("", "nonsense", None),
        ("10.0.0.1", "", "10.0.0.0"),
    ],
)
def test_the_client_address_is_truncated_to_its_network(reader, peer, forwarded, network):
    reader.get(click_url(), REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded})
    assert only_hit().network == network


@writes_hits
def test_unprintable_and_long_user_agents_are_sanitised(reader):
    reader.get(click_url(), headers={"User-Agent": "a\tb\x7f" + "x" * 600})
    assert only_hit().user_agent == "a?b?" + "x" * 496


@writes_hits
def test_a_hit_waits_while_the_database_is_unavailable(reader):
    with missing_database():
        assert reader.get(click_url()).status_code == 302
        assert not hit_writer.flush(0.5)
    assert only_hit().target == TARGET


@writes_hits
def test_a_click_does_not_wait_for_a_locked_table(reader):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE hits")
        started = time.monotonic()
        assert reader.get(click_url()).status_code == 302
        assert time.monotonic() - started < 1
        assert not hit_writer.flush(0.5)
        cursor.execute("COMMIT")
    assert only_hit().target == TARGET


@writes_hits
def test_queued_hits_are_written_before_a_process_exits(rf):
    row = hit(rf.get("/"), Open(EMAIL, RECIPIENT))
    worker = get_context("fork").Process(target=hit_writer.enqueue, args=(row,))
    worker.start()
    worker.join(20)
    assert (worker.exitcode, Hit.objects.get().pk) == (0, row.pk)


@pytest.mark.django_db
def test_hits_are_purged_after_their_retention(settings):
    fields = {
        "kind": "open",
        "email_id": EMAIL,
        "verdict": "human",
        "next_attempt_at": None,
    }
    Hit.objects.create(at=timezone.now() - settings.HIT_RETENTION * 1.01, **fields)
    kept = Hit.objects.create(at=timezone.now() - settings.HIT_RETENTION * 0.99, **fields)
    assert purge_old_hits() == 1
    assert Hit.objects.get() == kept
