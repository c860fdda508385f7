"""Passwords of operators cannot be guessed without limit, nor operators be locked out for ever."""

import re
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client

from core.metrics import AUTH_FAILURES

pytestmark = pytest.mark.django_db
RIGHT = "a pass phrase"
LOGIN = "/admin/login/"


@pytest.fixture(autouse=True)
def _operator(settings, db):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    User.objects.create_superuser("op", password=RIGHT)


def log_in(password=RIGHT, *, name="op", peer="192.0.2.1", **headers):
    form = {"username": name, "password": password}
    return Client(headers=headers).post(LOGIN, form, REMOTE_ADDR=peer)


def fail(count, **options):
    return [log_in(f"wrong {number}", **options).status_code for number in range(count)]


def test_twenty_five_wrong_passwords_lock_the_right_one_out_too():
    assert fail(25) == [200] * 4 + [429] * 21
    locked = log_in()
    assert (locked.status_code, "sessionid" in locked.cookies) == (429, False)
    assert 890 <= int(locked["Retry-After"]) <= 900
    assert "Try again in 15 minutes" in locked.content.decode()


def test_another_address_and_another_account_are_not_locked():
    User.objects.create_superuser("ada", password=RIGHT)
    fail(6)
    assert log_in(peer="198.51.100.7").status_code == 302
    assert log_in(name="ada").status_code == 302
    assert log_in().status_code == 429


@pytest.mark.parametrize(
    "variations",
    [
        [{"User-Agent": f"agent {number}"} for number in range(6)],
        [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(6)],
        [{"peer": f"2001:db8:1:2::{number}"} for number in range(1, 7)],
        [{"peer": "::ffff:192.0.2.1"}, *[{"peer": "192.0.2.1"}] * 5],
        [{"Accept": f"text/{number}"} for number in range(6)],
    ],
    ids=["user-agent", "forwarded-for", "ipv6", "mapped", "accept"],
)
def test_a_guesser_cannot_change_its_address(variations):
    codes = [log_in("wrong", **variation).status_code for variation in variations]
    assert codes == [200] * 4 + [429] * 2
    assert log_in(**variations[-1]).status_code == 429


def test_behind_a_proxy_the_clients_address_counts(settings):
    settings.BEHIND_TLS_PROXY = True
    forged = [f"203.0.113.{number}, 198.51.100.7" for number in range(6)]
    codes = [log_in("x", peer="10.0.0.1", **{"X-Forwarded-For": each}) for each in forged]
    assert [answer.status_code for answer in codes] == [200] * 4 + [429] * 2
    assert log_in(peer="10.0.0.1", **{"X-Forwarded-For": "198.51.100.8"}).status_code == 302


def test_a_lockout_ends_whatever_is_tried_meanwhile():
    fail(5)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(seconds=890))
    assert fail(3) == [429] * 3
    assert int(log_in()["Retry-After"]) <= 10
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(seconds=11))
    assert log_in().status_code == 302


def test_a_success_forgets_earlier_failures():
    for _ in range(3):
        assert fail(4) == [200] * 4
        assert log_in().status_code == 302


def test_failures_that_are_over_are_deleted():
    for number in range(3):
        fail(1, name=f"name {number}")
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(hours=1))
    fail(1)
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == ["op"]


def test_odd_names_are_counted_like_others():
    for name in ("x" * 5000, "no\x00body", "", "öp \ud83d".encode("utf-8", "replace").decode()):
        assert set(fail(2, name=name)) == {200}


def test_failures_are_logged_and_counted_without_names(log_lines):
    lines = log_lines("core.admin")
    before = AUTH_FAILURES.labels("login_locked")._value.get()
    fail(6)
    messages = [line["message"] for line in lines]
    assert messages == ["Login failed"] * 4 + ["Login refused: too many failures"] * 2
    assert {line["network"] for line in lines} == {"192.0.2.1"}
    assert {line["level"] for line in lines} == {"WARNING"}
    assert not any("op" in str(line.get("username", "")) for line in lines)
    assert AUTH_FAILURES.labels("login_locked")._value.get() == before + 2


def test_no_password_is_stored():
    fail(2)
    attempt = AccessAttempt.objects.get()
    assert "wrong" not in attempt.post_data + attempt.get_data


def test_the_admin_shows_attempts_and_unlocks_them():
    fail(5)
    other = Client()
    other.force_login(User.objects.get())
    page = other.get("/admin/axes/accessattempt/?q=192.0.2.1")
    (attempt,) = page.context["cl"].result_list
    assert re.search(r"192\.0\.2\.1", page.content.decode())
    for address in (f"{attempt.pk}/change/", "?q=op", "?q=nobody", "?q=2001:db8::1"):
        assert other.get(f"/admin/axes/accessattempt/{address}").status_code == 200
    form = {"action": "unlock", "index": "0", "_selected_action": [attempt.pk]}
    question = other.post("/admin/axes/accessattempt/", form)
    assert question.context["title"] == "Unlock: 1 access attempt?"
    assert question.context["names"] == [f"{attempt.username} from 192.0.2.1"]
    other.post("/admin/axes/accessattempt/", form | {"confirmed": "yes"})
    assert log_in().status_code == 302
    assert LogEntry.objects.get().is_deletion()


def test_the_limits_are_settings(settings):
    assert (settings.AXES_FAILURE_LIMIT, settings.AXES_COOLOFF_TIME) == (5, settings.LOGIN_LOCKOUT)
