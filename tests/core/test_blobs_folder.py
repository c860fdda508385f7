"""Blobs in a folder: whole or not there, never outside of it, downloaded by signed links only."""

from datetime import timedelta
from threading import Event, Thread

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from core.blobs import BlobStoreUnavailable, blobs


@pytest.fixture
def folder(settings, tmp_path):
    settings.BLOB_STORE = str(tmp_path / "blobs")
    return tmp_path / "blobs"


@pytest.fixture
def store(folder):
    return blobs()


@pytest.fixture
def link(store):
    """`link(filename=..., content_type=...)`: the path of a link to a blob that was just put."""

    def make(key="emails/a.0", content=b"hello", filename="a.txt", content_type="text/plain"):
        store.put(key, content)
        until = timezone.now() + timedelta(minutes=15)
        url = store.signed_url(key, filename=filename, content_type=content_type, expires_at=until)
        return url.removeprefix("http://testserver")

    return make


def test_a_put_leaves_one_file(store, folder):
    store.put("emails/2026-11-21/a.0", b"first")
    store.put("emails/2026-11-21/a.0", b"second")

    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.0"]


def test_a_deletion_leaves_no_empty_folder(store, folder):
    store.put("emails/day/a.0", b"hello")
    store.delete(["emails/day/a.0"])

    assert not (folder / "emails" / "day").exists()


@pytest.mark.parametrize("key", ["../a", "emails/../../a", "/etc/passwd", "a", "emails//a", "E/A"])
def test_no_key_leads_out_of_the_folder(store, key):
    with pytest.raises(ValueError, match="no key"):
        store.read(key)
    with pytest.raises(ValueError, match="no key"):
        store.put(key, b"")


def test_a_reader_never_sees_half_of_a_blob(store):
    small, large = b"a" * 10, b"b" * 5_000_000
    store.put("emails/a.0", small)
    stop, seen = Event(), set()

    def read():
        while not stop.is_set():
            seen.add(len(store.read("emails/a.0")))

    reader = Thread(target=read)
    reader.start()
    for content in [large, small] * 10:
        store.put("emails/a.0", content)
    stop.set()
    reader.join()
    assert seen <= {len(small), len(large)}


def test_a_folder_that_cannot_be_written_is_no_bug(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings.BLOB_STORE = str(tmp_path / "file" / "blobs")

    with pytest.raises(BlobStoreUnavailable):
        blobs().put("emails/a.0", b"hello")


def test_a_put_that_died_is_among_the_keys_and_can_be_deleted(store, folder):
    store.put("emails/a.0", b"hello")
    (folder / "emails" / "a.1.0123.part").write_bytes(b"hel")

    assert store.keys("emails/", after="emails/a.0", limit=9) == ["emails/a.1.0123.part"]
    store.delete(["emails/a.1.0123.part"])
    assert store.keys("emails/", after="", limit=9) == ["emails/a.0"]


def test_a_page_is_never_run_under_our_name(link):
    answer = Client().get(link(filename="a.html", content_type="text/html"))

    assert answer.getvalue() == b"hello"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_link_ends(link):
    path = link()
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        answer = Client().get(path)
    assert (answer.status_code, answer.json()["name"]) == (410, "link_expired")


@pytest.mark.parametrize("alter", [lambda path: path[:-1], lambda path: path[:9] + "A" + path[10:]])
def test_a_link_that_we_did_not_sign_is_nothing(link, alter):
    assert Client().get(alter(link())).status_code == 404


def test_a_link_to_what_is_gone_is_nothing(link, store):
    path = link()
    store.delete(["emails/a.0"])
    assert Client().get(path).status_code == 404


def test_links_are_for_reading(link):
    assert Client().post(link()).status_code == 405
