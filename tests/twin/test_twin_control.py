"""The control API, faults, and what a restart keeps."""

import threading
import time

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError

from tests.clients import wait_until
from tests.twin.twin_running import Subscriber, send_raw


def refusals(count, call):
    """How many of `count` calls are refused, and the last refusal."""
    refused, last = 0, None
    for _ in range(count):
        try:
            call()
        except ClientError as error:
            refused, last = refused + 1, error.response
    return refused, last


def test_over_the_send_rate_recipients_are_refused(twin, verified):
    twin.fault(send_rate=2)
    send_raw(verified, to=["a@example.net", "b@example.net", "c@example.net", "d@example.net"])
    refused, last = refusals(3, lambda: send_raw(verified))
    assert refused == 3
    assert last["Error"]["Code"] == "TooManyRequestsException"
    assert last["Error"]["Message"] == "Maximum sending rate exceeded."
    assert last["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert twin.get("mail/count").json()["count"] == 1
    wait_until(lambda: refusals(1, lambda: send_raw(verified))[0] == 0)


def test_over_the_daily_quota_nothing_is_sent(twin, verified):
    twin.fault(daily_quota=3)
    send_raw(verified, to=["a@example.net", "b@example.net", "c@example.net"])
    with pytest.raises(verified.exceptions.TooManyRequestsException, match="Daily message quota"):
        send_raw(verified)
    twin.fault(daily_quota=None)
    send_raw(verified)


def test_throttling_refuses_with_the_given_probability(twin, verified):
    twin.fault(throttle=0.5)
    refused, _ = refusals(60, lambda: send_raw(verified))
    assert 5 < refused < 55
    twin.fault(throttle=1)
    assert refusals(5, lambda: send_raw(verified))[0] == 5


def test_a_caller_that_gives_up_leaves_a_sent_mail(twin, verified):
    twin.fault(latency_ms=1000)
    impatient = boto3.client(
        "sesv2",
        region_name="us-east-1",
        endpoint_url=twin.url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.2),
    )
    with pytest.raises(ReadTimeoutError):
        send_raw(impatient)
    impatient.close()
    assert len(twin.mail()) == 1
    wait_until(lambda: len(twin.get("calls", operation="SendEmail").json()) == 1)


def test_a_call_fails_as_told_until_the_faults_are_reset(twin, ses, sns):
    twin.fault(fail_calls={"GetAccount": "ThrottlingException", "ListTopics": "InternalError"})
    refused, last = refusals(1, ses.get_account)
    assert (refused, last["Error"]["Code"]) == (1, "ThrottlingException")
    with pytest.raises(sns.exceptions.InternalErrorException):
        sns.list_topics()

    cleared = requests.delete(f"{twin.url}/_twin/faults", timeout=5).json()
    assert cleared["fail_calls"] == {}
    ses.get_account()


def test_absent_faults_stay_as_they_are(twin):
    twin.fault(latency_ms=5)
    twin.fault(drop_events=0.25)
    faults = twin.get("faults").json()
    assert (faults["latency_ms"], faults["drop_events"], faults["send_rate"]) == (5, 0.25, None)


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        ({"latency": 5}, "latency"),
        ({"throttle": 1.5}, "throttle"),
        ({"throttle": True}, "throttle"),
        ({"drop_events": "1"}, "drop_events"),
        ({"send_rate": -1}, "send_rate"),
        ({"daily_quota": 1.5}, "daily_quota"),
        ({"reorder_events": 1}, "reorder_events"),
        ({"fail_calls": {"SendEmail": None}}, "fail_calls"),
        ([], "object"),
    ],
)
def test_a_bad_fault_is_refused_by_name_and_changes_nothing(twin, faults, named):
    before = twin.get("faults").json()
    body = {"latency_ms": 7, **faults} if isinstance(faults, dict) else faults
    answer = twin.post("faults", body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert twin.get("faults").json() == before


def test_calls_are_listed_newest_last(twin, ses, sns, connect):
    ses.get_account()
    sns.list_topics()
    refusals(1, lambda: ses.get_email_identity(EmailIdentity="example.com"))
    connect(twin, "sesv2", region="eu-west-1").get_account()

    calls = twin.get("calls").json()
    assert [(c["service"], c["operation"], c["region"], c["status"]) for c in calls] == [
        ("ses", "GetAccount", "us-east-1", 200),
        ("sns", "ListTopics", "us-east-1", 200),
        ("ses", "GetEmailIdentity", "us-east-1", 404),
        ("ses", "GetAccount", "eu-west-1", 200),
    ]
    assert calls[2]["error"] == "NotFoundException"
    assert len(twin.get("calls", operation="GetAccount").json()) == 2
    (last,) = twin.get("calls", limit=1).json()
    assert last["region"] == "eu-west-1"


def test_mail_is_found_by_recipient_and_limited_to_the_newest(twin, verified):
    ids = [send_raw(verified, to=f"u{n % 2}@example.net") for n in range(6)]
    assert [each["id"] for each in twin.mail(recipient="u1@example.net")] == ids[1::2]
    newest = twin.mail(limit=2, raw="false")
    assert [each["id"] for each in newest] == ids[-2:]
    assert "raw_base64" not in newest[0]
    raw = requests.get(f"{twin.url}/_twin/mail/{ids[0]}/raw", timeout=5)
    assert raw.headers["Content-Type"] == "message/rfc822"
    assert raw.content.startswith(b"From: Ada")
    assert twin.get("mail", limit="many").status_code == 400


def test_a_reset_forgets_mail_calls_and_faults_but_keeps_identities(twin, verified):
    twin.fault(latency_ms=1)
    send_raw(verified)
    twin.post("reset").raise_for_status()
    assert twin.mail() == twin.get("calls").json() == []
    assert twin.get("mail/count").json()["count"] == 0
    assert twin.get("faults").json()["latency_ms"] == 0
    assert verified.get_account()["SendQuota"]["SentLast24Hours"] == 0
    assert [each["name"] for each in twin.get("identities").json()] == ["example.com"]


def test_a_reset_forgets_the_events_to_come_with_their_mail(twin, publishing, verified, quiet):
    twin.fault(delay_events_ms=600)
    send_raw(verified)
    twin.post("reset").raise_for_status()
    message_id = send_raw(verified)
    assert [each["mail"]["messageId"] for each in publishing.events(2)] == [message_id] * 2
    time.sleep(0.6)
    quiet()
    assert publishing.is_empty()


def test_a_reset_of_all_carries_nothing_any_further(twin, sns, topic, quiet):
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:9/")
    wait_until(lambda: twin.get("health").json()["pending_deliveries"] == 1)
    time.sleep(0.2)  # its first try is over, and the next one is 20 seconds away

    twin.post("reset", all="true").raise_for_status()

    quiet()


def test_a_status_that_was_set_stays(twin, ses):
    ses.create_email_identity(EmailIdentity="example.com")
    answer = twin.post("identities", {"name": "example.com", "status": "TEMPORARY_FAILURE"})
    assert answer.json()["status"] == "TEMPORARY_FAILURE"
    found = ses.get_email_identity(EmailIdentity="example.com")
    assert found["VerificationStatus"] == "TEMPORARY_FAILURE"
    assert found["VerifiedForSendingStatus"] is False
    assert twin.post("identities", {"name": "example.com", "status": "GREAT"}).status_code == 400


def test_a_call_that_breaks_the_twin_is_answered_and_listed(twin, verified):
    scope = "Credential=AKIDEXAMPLE/20260101/us-east-1/ses/aws4_request"
    answer = requests.post(
        f"{twin.url}/v2/email/outbound-emails",
        json={"EmailTags": 5},
        headers={"Authorization": f"AWS4-HMAC-SHA256 {scope}, Signature=0"},
        timeout=5,
    )
    assert answer.status_code == 500
    assert answer.headers["x-amzn-ErrorType"] == "InternalFailure"
    assert twin.get("calls", limit=1).json()[0]["error"] == "InternalFailure"


def test_requests_that_are_no_calls_are_refused(twin):
    assert requests.get(f"{twin.url}/v2/email/account", timeout=5).status_code == 403
    assert twin.get("nothing").status_code == 404


def test_many_callers_at_once_get_an_answer_each(twin, verified):
    ids, lock = set(), threading.Lock()

    def send():
        for _ in range(20):
            message_id = send_raw(verified)
            with lock:
                ids.add(message_id)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(ids) == twin.get("mail/count").json()["count"] == 160


def test_a_restart_keeps_identities_sets_topics_subscriptions_and_the_key(
    start_twin, connect, tmp_path
):
    before = start_twin(tmp_path)
    ses, sns = connect(before, "sesv2"), connect(before, "sns")
    ses.create_configuration_set(ConfigurationSetName="mail")
    ses.create_email_identity(EmailIdentity="example.com")
    ses.get_email_identity(EmailIdentity="example.com")
    topic = sns.create_topic(Name="events", Attributes={"SignatureVersion": "2"})["TopicArn"]
    ses.create_configuration_set_event_destination(
        ConfigurationSetName="mail",
        EventDestinationName="sns",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": ["SEND"],
            "SnsDestination": {"TopicArn": topic},
        },
    )
    with Subscriber() as subscriber:
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
        handshake = subscriber.next().json
        sns.confirm_subscription(TopicArn=topic, Token=handshake["Token"])
        assert before.stop() == 0

        after = start_twin(tmp_path)
        send_raw(connect(after, "sesv2"))
        message = subscriber.next().json
    assert message["SigningCertURL"] == handshake["SigningCertURL"]
    assert message["SignatureVersion"] == "2"
    assert [each["envelope"]["to"] for each in after.mail()] == [["bob@example.net"]]


def test_state_survives_a_kill_soon_after_a_change(start_twin, connect, tmp_path):
    before = start_twin(tmp_path)
    connect(before, "sesv2").create_configuration_set(ConfigurationSetName="mail")
    wait_until(lambda: (tmp_path / "state.json").exists())
    before.process.kill()
    before.process.wait()

    after = connect(start_twin(tmp_path), "sesv2")
    assert after.list_configuration_sets()["ConfigurationSets"] == ["mail"]


def test_a_stop_does_not_wait_for_slow_callers(start_twin, connect, tmp_path):
    twin = start_twin(tmp_path)
    twin.post("identities", {"name": "example.com"})
    twin.fault(latency_ms=30_000)
    ses = connect(twin, "sesv2")
    errors = []

    def send():
        try:
            send_raw(ses, ConfigurationSetName="")
        except HTTPClientError as error:
            errors.append(error)

    caller = threading.Thread(target=send)
    caller.start()
    wait_until(lambda: twin.get("mail/count").json()["count"] == 1)
    started = time.monotonic()
    assert twin.stop() == 0
    assert time.monotonic() - started < 5
    caller.join()
    assert len(errors) == 1
