"""An endpoint's page shows its state and next attempt; its actions ask for confirmation."""

import re
from datetime import timedelta
from functools import partial
from html import unescape
from http.server import HTTPServer

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.clients import QuietHandler, run_admin_action, serving
from tests.database import captured_statements
from tests.factories import create_deliveries, endpoint_at
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour, Recovery

pytestmark = pytest.mark.django_db
LIST = "admin:webhooks_endpoint_changelist"
HOUR = timedelta(hours=1)
HOOK = "http://127.0.0.1:1024/hook"


@pytest.fixture
def endpoint(workspace):
    return endpoint_at(HOOK, workspace, headers={"X-Tenant": "s3cret-value"}, ed25519=True)


@pytest.fixture(name="create_deliveries")
def _create_deliveries(endpoint):
    """Creates deliveries to the endpoint, each with its own event."""
    return partial(create_deliveries, endpoint)


@pytest.fixture
def run_action(operator):
    """Returns the response and the messages after an admin action on these records."""
    return partial(run_admin_action, operator)


def change(endpoint, **columns):
    Endpoint.objects.filter(pk=endpoint.pk).update(**columns)


def page_text(client, endpoint):
    """The visible text of the endpoint's page."""
    shown = client.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
    assert shown.status_code == 200
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", shown.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(text).split())


def at(moment):
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def test_a_healthy_endpoint_waits_for_events(operator, endpoint):
    page = page_text(operator, endpoint)
    assert "Healthy: no request has failed since the last success." in page
    assert "0 waiting, 0 of them due; 0 in flight" in page
    assert "No delivery is waiting: the next event will be sent immediately." in page
    assert "None among the newest deliveries." in page


def test_due_deliveries_are_sent_now_within_limits(operator, endpoint, create_deliveries):
    create_deliveries(3)
    create_deliveries(2, next_attempt_at=timezone.now() + HOUR)
    create_deliveries(1, status="attempting", next_attempt_at=timezone.now() + HOUR)
    create_deliveries(1, status="success", next_attempt_at=None)
    change(endpoint, rate_limit=7)
    page = page_text(operator, endpoint)
    assert "5 waiting, 3 of them due; 1 in flight" in page
    assert "due deliveries are sent now, at most 20 requests at a time and 7 per second." in page


def test_the_time_of_the_next_attempt_is_shown(operator, create_deliveries, endpoint):
    later = timezone.now() + 2 * HOUR
    create_deliveries(1, next_attempt_at=later)
    text = f"1 delivery is waiting; the first is due at {at(later)} (in"
    assert text in page_text(operator, endpoint)


def test_a_failing_endpoint_shows_when_it_is_reported_and_disabled(operator, endpoint):
    since = timezone.now() - 3 * HOUR
    change(endpoint, failing_since=since, failures_in_a_row=2)
    page = page_text(operator, endpoint)
    assert f"Failing since {at(since)} (3 h ago), with no success since then." in page
    assert "Consecutive requests with no response, 429 or 5xx: 2." in page
    told = f"webhook.failing will be published at the first failure after {at(since + 24 * HOUR)}"
    assert told in page
    assert f"disabled at the first failure after {at(since + 120 * HOUR)} (in" in page
    change(endpoint, failing_notified_at=since + HOUR)
    assert f"webhook.failing was published at {at(since + HOUR)}" in page_text(operator, endpoint)


def test_a_half_open_endpoint_shows_its_next_probe(operator, endpoint, create_deliveries):
    now = timezone.now()
    change(endpoint, failing_since=now - HOUR, failures_in_a_row=12, probe_at=now + HOUR)
    waiting_for_event = "No delivery is waiting: the next event will be the next probe."
    assert waiting_for_event in page_text(operator, endpoint)
    first, *_ = create_deliveries(14)
    page = page_text(operator, endpoint)
    assert "Consecutive requests with no response, 429 or 5xx: 12. Half-open: it is" in page
    assert f"14 deliveries are waiting; the next probe is due at {at(now + HOUR)} (in" in page
    change(endpoint, probe_at=now)
    due_now = "14 deliveries are waiting; the next probe is due now."
    assert due_now in page_text(operator, endpoint)
    lease = {"status": "attempting", "next_attempt_at": now + HOUR}
    Delivery.objects.filter(pk=first.pk).update(**lease)
    assert "13 deliveries are waiting; a probe is in flight." in page_text(operator, endpoint)


def test_a_disabled_endpoint_shows_its_reason_and_links_to_recovery(operator, endpoint):
    off = timezone.now() - HOUR
    reason = "The endpoint answered 410 Gone"
    change(endpoint, status="disabled", disabled_reason=reason, disabled_at=off)
    page = page_text(operator, endpoint)
    assert f"Disabled since {at(off)} (60 min ago): {reason}." in page
    assert f"Nothing is sent to it. Enable it, then recover what it missed since {at(off)}" in page
    shown = operator.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
    (link,) = re.findall(r'href="(/admin/webhooks/endpoint/recover/[^"]*)"', shown.content.decode())
    form = operator.get(unescape(link)).context["form"]
    assert form.cleaned_data["since"] == off.replace(microsecond=0)
    change(endpoint, disabled_reason="")
    assert f"Disabled since {at(off)} (60 min ago): manually" in page_text(operator, endpoint)


def test_the_chart_has_48_hours_and_nothing_older(operator, endpoint):
    this = timezone.now().replace(minute=0, second=0, microsecond=0)
    for age, ok, bad, ms, slowest in [
        (0, 999, 1, 50_000, 800),
        (23, 0, 10, 1_000, 400),
        (24, 7, 0, 70, 15_000),
        (48, 5, 5, 10, 9),
    ]:
        EndpointHour.objects.create(
            endpoint=endpoint,
            hour=this - age * HOUR,
            succeeded=ok,
            failed=bad,
            total_ms=ms,
            slowest_ms=slowest,
        )
    page = page_text(operator, endpoint)
    title = "1,000 requests, 99.9 % succeeded, mean 50 ms, slowest 800 ms"
    assert f"{this:%d %b %H:%M} to {this + HOUR:%H:%M}: {title}" in page
    assert page.count(": no requests") == 3 * 45
    # The totals cover 24 hours: the hour with 7 requests is older.
    assert "Requests in 24 h 1,010 Success rate 98.9 % Mean 50 ms Slowest 800 ms" in page
    source = operator.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
    assert 'aria-label="48 hours: 1,017 requests, 98.9' in source.content.decode()


def test_a_single_failure_is_visible_in_an_hours_rate(endpoint):
    from webhooks.hourly_stats import Tally, last_hours

    assert Tally(succeeded=99_999, failed=1).rate == "99.9\N{NO-BREAK SPACE}%"
    assert Tally(succeeded=3).rate == "100\N{NO-BREAK SPACE}%"
    this = timezone.now().replace(minute=0, second=0, microsecond=0)
    EndpointHour.objects.create(endpoint=endpoint, hour=this, succeeded=99_999, failed=1)
    rates = last_hours(endpoint).bands[0]
    assert [(bar.kind, bar.height) for bar in rates.bars] == [("bad", "4.0"), ("good", "96.0")]


def test_recent_failures_show_the_response(operator, endpoint, create_deliveries):
    failed, _ = create_deliveries(2)
    later = timezone.now() + HOUR
    Delivery.objects.filter(pk=failed.pk).update(
        attempts=3, last_status_code=503, last_error="http_503", next_attempt_at=later
    )
    create_deliveries(11, status="failed", next_attempt_at=None, last_error="endpoint_disabled")
    long = "<b>Down for maintenance</b> " * 20
    for number, text in enumerate(["an older answer", long]):
        Attempt.objects.create(
            delivery=failed, number=number, status_code=503, response=text, duration_ms=1, at=later
        )
    shown = operator.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
    failures = shown.context["heads"][2]
    ((event, status, attempts, answer, body, next_at),) = failures.rows
    assert (status.text, attempts, answer, next_at) == ("pending", 3, 503, later)
    assert str(failed.pk) in event
    assert "<summary" in body
    assert "<b>" not in body
    assert "older" not in body


def test_a_page_has_a_constant_number_of_queries(operator, endpoint, create_deliveries):
    def fill(count):
        for number, delivery in enumerate(
            create_deliveries(count, last_error="timeout", attempts=1), 1
        ):
            Attempt.objects.create(delivery=delivery, number=1, duration_ms=1, at=timezone.now())
            hour = timezone.now().replace(minute=0, second=0, microsecond=0) - number * HOUR
            EndpointHour.objects.get_or_create(endpoint=endpoint, hour=hour)
            Recovery.objects.create(
                endpoint=endpoint, since=hour, until=hour + HOUR, only="all", next_attempt_at=None
            )

    def queries():
        with captured_statements() as statements:
            page_text(operator, endpoint)
        return statements

    fill(2)
    few = queries()
    fill(12)
    many = queries()
    assert len(few) == len(many)
    about_events = [sql for sql in many if 'JOIN "events"' in sql]
    assert about_events
    assert not [sql for sql in about_events if '"events"."body"' in sql]


def test_the_list_shows_states_and_24_hour_success_rates(operator, endpoint, workspace):
    now = timezone.now()
    states = {
        "failing": {"failing_since": now},
        "half-open": {"failing_since": now, "failures_in_a_row": 5},
        "disabled": {"status": "disabled", "failing_since": now},
    }
    for name, columns in states.items():
        other = endpoint_at(f"http://127.0.0.1:1024/{name}", workspace)
        change(other, **columns)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for age, failed in ((0, 1), (1, 1), (24, 96)):
        EndpointHour.objects.create(
            endpoint=endpoint, hour=hour - age * HOUR, succeeded=1, failed=failed
        )
    shown = operator.get(reverse(LIST))
    rows = {row.url.rpartition("/")[2]: row for row in shown.context["cl"].result_list}
    assert rows["hook"].day.rate == "50\N{NO-BREAK SPACE}%"
    assert rows["failing"].day is None
    page = shown.content.decode()
    assert "50\N{NO-BREAK SPACE}%" in page
    assert all(f"\n{state}\n" in re.sub(r"\n\s+", "\n", page) for state in [*states, "healthy"])

    def found(state):
        result = operator.get(reverse(LIST), {"state": state}).context["cl"].result_list
        return {row.url.rpartition("/")[2] for row in result}

    assert found("failing") == {"failing", "half-open"}
    assert found("half_open") == {"half-open"}
    assert found("disabled") == {"disabled"}
    assert found("switched_off") == found("failing_long") == set()
    change(rows["failing"], failing_since=now - 25 * HOUR)
    change(rows["disabled"], disabled_reason="gone")
    assert found("failing_long") == {"failing"}
    assert found("switched_off") == {"disabled"}


def test_a_deleted_endpoint_is_in_no_list_and_no_alert(operator, endpoint):
    gone = {"status": "disabled", "disabled_reason": "x", "deleted_at": timezone.now()}
    change(endpoint, **gone)
    assert not operator.get(reverse(LIST)).context["cl"].result_list
    assert "endpoints were" not in operator.get("/admin/").content.decode()


def test_the_dashboard_alerts_about_failing_endpoints(operator, endpoint):
    assert "endpoints" not in alerts(operator)
    long = timezone.now() - 25 * HOUR
    change(endpoint, failing_since=long, failures_in_a_row=5)
    assert "endpoints are half-open" in alerts(operator)
    assert "endpoints have been failing for more than a day" in alerts(operator)
    # Disabled by hand: the operator already knows.
    change(endpoint, status="disabled", disabled_at=timezone.now())
    assert "endpoints" not in alerts(operator)


def alerts(operator):
    return " ".join(alert.text for alert in operator.get("/admin/").context["alerts"])


class Answer(QuietHandler):
    """`/500/oops` responds with 500 and the body `oops`."""

    def do_POST(self):
        self.server.requests.append(self.headers)
        _, status, body = self.path.split("/")
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def server():
    with serving(HTTPServer(("127.0.0.1", 0), Answer)) as running:
        running.requests = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        yield running


def test_a_test_event_is_sent_and_its_response_shown(endpoint, run_action, server):
    change(endpoint, url=f"{server.url}/200/thanks")
    (fine,) = run_action("send_test", endpoint)[1]
    assert re.fullmatch(rf"{server.url}/200/thanks: responded with 200 after \d+ ms\. thanks", fine)
    assert server.requests[0]["X-Tenant"] == "s3cret-value"
    change(endpoint, url=f"{server.url}/500/oops&copy")
    shown, (broken,) = run_action("send_test", endpoint)
    assert re.fullmatch(r".*: responded with 500 after \d+ ms\. oops&copy", broken)
    assert "oops&amp;copy" in shown.content.decode()
    change(endpoint, url="http://127.0.0.1:1024/")
    (unreachable,) = run_action("send_test", endpoint)[1]
    assert re.fullmatch(r"http://127.0.0.1:1024/: \w+ after \d+ ms\. .+", unreachable)
    assert len(server.requests) == 2


def test_only_one_endpoint_can_be_tested_at_a_time(endpoint, workspace, run_action, server):
    url = f"{server.url}/200/thanks"
    change(endpoint, url=url)
    other = endpoint_at(url, workspace)
    assert run_action("send_test", endpoint, other)[1] == ["Choose one endpoint to test."]
    assert not server.requests


def test_a_recovery_shows_a_count_before_it_starts(
    operator, endpoint, create_deliveries, run_action
):
    create_deliveries(3, status="failed", next_attempt_at=None, last_error="http_500")
    create_deliveries(2, status="success", next_attempt_at=None)
    shown, said = run_action("recover", endpoint, record=endpoint.pk)
    assert (said, Recovery.objects.count()) == ([], 0)
    assert shown.context["total"] == "3"
    everything = operator.get(
        shown.request["PATH_INFO"],
        {"ids": str(endpoint.pk), "since": at(timezone.now() - HOUR), "only": "all"},
    )
    assert everything.context["total"] == "5"
    assert Delivery.objects.filter(status="pending").count() == 0
    sent = everything.context["span"] | {"ids": str(endpoint.pk)}
    # Only counted deliveries are sent, not newer ones.
    create_deliveries(1, status="failed", next_attempt_at=None, last_error="http_500")
    done = operator.post(shown.request["PATH_INFO"], sent, follow=True)
    assert [str(each) for each in done.context["messages"]] == [
        "http://127.0.0.1:1024/hook: 5 deliveries sent again."
    ]
    assert Delivery.objects.filter(status="pending").count() == 5
    assert Recovery.objects.get().only == "all"
    assert "Recoveries" in done.content.decode()
    assert done.context["panels"][1].rows[0][3].text == "done"


def test_a_recovery_of_several_endpoints_counts_each(
    operator, endpoint, workspace, create_deliveries, run_action
):
    other = endpoint_at("http://127.0.0.1:1024/b", workspace, event_types=["contact.*"])
    create_deliveries(2, status="failed", next_attempt_at=None, last_error="timeout")
    change(endpoint, status="disabled", disabled_at=timezone.now() - 30 * HOUR)
    shown, _ = run_action("recover", endpoint, other)
    rows = {state.text: count for _, state, count in shown.context["panel"].rows}
    assert rows == {"disabled": "2, once it is enabled", "healthy": "2"}
    assert shown.context["total"] == "2"
    # The time since which the first of them missed deliveries.
    assert shown.context["form"]["since"].value() < f"{timezone.now() - 29 * HOUR:%Y-%m-%dT%H}"
    sent = shown.context["span"] | {"ids": shown.context["ids"]}
    done = operator.post(reverse("admin:webhooks_endpoint_recover"), sent, follow=True)
    said = sorted(str(each) for each in done.context["messages"])
    assert said[0] == "http://127.0.0.1:1024/b: 2 deliveries sent again."
    assert said[1].startswith("http://127.0.0.1:1024/hook: The webhook is disabled.")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-02T00:00:00", "until": "2026-01-01T00:00:00"}, "since"),
        ({"since": "2026-01-02T00:00:00", "until": "2999-01-01T00:00:00"}, "until"),
        ({"since": "2026-01-02T00:00:00", "only": "some"}, "only"),
    ],
)
def test_an_invalid_time_span_is_neither_counted_nor_started(given, field, operator, endpoint):
    address = reverse("admin:webhooks_endpoint_recover")
    for send in (operator.get, operator.post):
        shown = send(address, given | {"ids": str(endpoint.pk)})
        assert shown.status_code == 200
        assert list(shown.context["form"].errors) == [field]
        assert "total" not in shown.context
    assert not Recovery.objects.exists()


def test_unknown_endpoints_have_no_recover_page(operator, endpoint):
    address = reverse("admin:webhooks_endpoint_recover")
    change(endpoint, status="disabled", deleted_at=timezone.now())
    for ids in ("", "x", str(endpoint.pk)):
        assert operator.get(address, {"ids": ids}).status_code == 404


def test_view_only_staff_cannot_recover_or_test(clerk, endpoint):
    from django.contrib.auth.models import Permission, User

    User.objects.get(username="clerk").user_permissions.add(
        Permission.objects.get(codename="view_endpoint")
    )
    assert "Send a test event" not in page_text(clerk, endpoint)
    address = reverse("admin:webhooks_endpoint_recover")
    query = {"ids": str(endpoint.pk), "since": "2026-01-01T00:00:00", "only": "all"}
    assert clerk.get(address, query).status_code == 403
    assert clerk.post(address, query).status_code == 403


def test_enabling_links_to_recovery(endpoint, run_action):
    off = timezone.now() - HOUR
    change(endpoint, status="disabled", disabled_at=off, failing_since=off - HOUR)
    _, (enabled, missed) = run_action("enable", endpoint)
    assert enabled == "1 endpoint enabled."
    assert f"Recover what was missed</a> since {at(off - HOUR)}." in missed
    assert f"ids={endpoint.pk}" in missed


def test_a_record_shows_only_applicable_actions(operator, endpoint):
    def buttons():
        shown = operator.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
        return [button.name for button in shown.context["buttons"]]

    assert buttons() == ["disable", "send_test", "recover"]
    change(endpoint, status="disabled")
    assert buttons() == ["enable", "send_test", "recover"]


def test_replaying_several_deliveries_asks_for_confirmation(
    operator, create_deliveries, run_action
):
    one, *more = create_deliveries(3, status="success", next_attempt_at=None, attempts=1)
    assert run_action("replay", one)[1] == ["1 delivery will be sent again."]
    shown, said = run_action("replay", *more)
    assert (said, shown.context["title"]) == ([], "Send 2 deliveries again?")
    assert Delivery.objects.filter(status="pending").count() == 1
    again = {name: [] for name, _ in shown.context["again"]}
    for name, value in shown.context["again"]:
        again[name].append(value)
    done = operator.post(shown.context["back"], again | {"confirmed": "yes"}, follow=True)
    assert [str(each) for each in done.context["messages"]] == ["2 deliveries will be sent again."]
    assert Delivery.objects.filter(status="pending").count() == 3


def test_the_confirmation_counts_all_rows_of_a_filter(operator, create_deliveries):
    create_deliveries(3, status="failed", next_attempt_at=None)
    create_deliveries(1, status="success", next_attempt_at=None)
    address = reverse("admin:webhooks_delivery_changelist") + "?work=failed"
    form = {"action": "replay", "index": "0", "select_across": "1"}
    form["_selected_action"] = [Delivery.objects.filter(status="failed")[0].pk]
    shown = operator.post(address, form)
    assert shown.context["title"] == "Send 3 deliveries again?"
    sent = dict(shown.context["again"]) | {"confirmed": "yes"}
    operator.post(shown.context["back"], sent)
    assert Delivery.objects.filter(status="pending").count() == 3


def test_no_page_shows_a_secret_or_a_headers_value(
    operator, endpoint, create_deliveries, run_action
):
    (delivery,) = create_deliveries(1, last_error="timeout")
    Recovery.objects.create(
        endpoint=endpoint, since=timezone.now() - HOUR, until=timezone.now(), only="all"
    )
    endpoint.refresh_from_db()
    pages = [
        operator.get(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk])),
        operator.get(reverse("admin:webhooks_delivery_change", args=[delivery.pk])),
        operator.get(reverse("admin:webhooks_recovery_change", args=[Recovery.objects.get().pk])),
        operator.get(reverse("admin:events_event_change", args=[delivery.event_id])),
        run_action("recover", endpoint)[0],
        operator.get(reverse(LIST)),
    ]
    hidden = ["s3cret-value", endpoint.encrypted_keyring, endpoint.encrypted_headers, "whsec_"]
    for page in pages:
        assert page.status_code == 200
        assert not [each for each in hidden if each in page.content.decode()]
    assert "X-Tenant" in pages[0].content.decode()
    assert endpoint.public_key in pages[0].content.decode()
