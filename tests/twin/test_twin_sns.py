"""Topics, the handshake, signed delivery and its retries."""

import base64
import json
import queue
import re

import pytest
import requests
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.clients import wait_until
from tests.twin.twin_running import Subscriber

QUICK = {
    "minDelayTarget": 1,
    "maxDelayTarget": 1,
    "numRetries": 4,
    "numNoDelayRetries": 3,
    "backoffFunction": "linear",
}


PATIENT = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 20}


def certificate_of(twin, message):
    """The certificate at the path of SigningCertURL, fetched from the twin itself."""
    match = re.fullmatch(
        r"https://sns\.us-east-1\.amazonaws\.com(/SimpleNotificationService-[0-9a-f]{32}\.pem)",
        message["SigningCertURL"],
    )
    pem = requests.get(twin.url + match[1], timeout=5).content
    return x509.load_pem_x509_certificate(pem)


def verify(twin, message, algorithm):
    """Raise InvalidSignature unless the message is signed as AWS describes it."""
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn"]
    if message["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"]
    signed = "".join(f"{n}\n{message[n]}\n" for n in [*names, "Type"] if n in message)
    signature = base64.b64decode(message["Signature"])
    key = certificate_of(twin, message).public_key()
    key.verify(signature, signed.encode(), padding.PKCS1v15(), algorithm)


def test_the_handshake_confirms_with_the_token_that_was_posted(twin, sns, topic, subscriber):
    answer = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    assert answer["SubscriptionArn"] == "pending confirmation"
    received = subscriber.next()
    message = received.json

    assert list(message) == [
        *("Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp"),
        *("SignatureVersion", "Signature", "SigningCertURL"),
    ]
    assert message["Type"] == "SubscriptionConfirmation"
    assert message["SubscribeURL"] == (
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription"
        f"&TopicArn={topic}&Token={message['Token']}"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["Timestamp"])
    verify(twin, message, hashes.SHA1())
    headers = received.headers
    assert headers[":path"] == "/sns?key=a%2Fb"
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert headers["x-amz-sns-message-id"] == message["MessageId"]
    assert headers["x-amz-sns-topic-arn"] == topic
    assert "x-amz-sns-subscription-arn" not in headers

    with pytest.raises(sns.exceptions.InvalidParameterException, match="Token"):
        sns.confirm_subscription(TopicArn=topic, Token="0" * 208)
    arn = sns.confirm_subscription(TopicArn=topic, Token=message["Token"])["SubscriptionArn"]
    assert arn.startswith(f"{topic}:")
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert attributes["PendingConfirmation"] == "false"
    assert attributes["ConfirmationWasAuthenticated"] == "true"


def test_a_token_of_one_topic_does_not_confirm_another(sns, topic, subscriber):
    other = sns.create_topic(Name="other")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    token = subscriber.next().json["Token"]
    with pytest.raises(sns.exceptions.InvalidParameterException):
        sns.confirm_subscription(TopicArn=other, Token=token)


def test_nothing_is_delivered_before_the_confirmation(sns, topic, subscriber, quiet):
    answer = sns.subscribe(
        TopicArn=topic, Protocol="http", Endpoint=subscriber.url, ReturnSubscriptionArn=True
    )
    assert answer["SubscriptionArn"].startswith(topic)
    first = subscriber.next().json
    sns.publish(TopicArn=topic, Message="too early")
    quiet()
    assert subscriber.is_empty()
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"

    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    assert subscriber.next().json["Token"] == first["Token"]


@pytest.mark.parametrize(("version", "algorithm"), [("1", hashes.SHA1()), ("2", hashes.SHA256())])
@pytest.mark.parametrize("subject", [None, "Hello"])
def test_a_notification_is_signed_in_the_topics_version(
    twin, sns, topic, subscribed, version, algorithm, subject
):
    if version == "2":
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2"
        )
    text = 'Grüße\n"quoted" \\ \u2028'
    published = sns.publish(
        TopicArn=topic,
        Message=text,
        **({"Subject": subject} if subject else {}),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "test"}},
    )
    received = subscribed.next()
    message = received.json

    assert (message["Message"], message.get("Subject")) == (text, subject)
    assert ("Subject" in message) == (subject is not None)
    assert message["MessageId"] == published["MessageId"]
    assert message["SignatureVersion"] == version
    assert message["MessageAttributes"] == {"kind": {"Type": "String", "Value": "test"}}
    assert message["UnsubscribeURL"] == (
        f"https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscribed.arn}"
    )
    assert received.headers["x-amz-sns-subscription-arn"] == subscribed.arn
    verify(twin, message, algorithm)
    with pytest.raises(InvalidSignature):
        verify(twin, message | {"Message": "forged"}, algorithm)
    with pytest.raises(InvalidSignature):
        verify(twin, message, hashes.SHA256() if version == "1" else hashes.SHA1())


def test_the_certificate_is_for_sns_and_its_key_is_private(twin, sns, topic, subscribed):
    sns.publish(TopicArn=topic, Message="x")
    certificate = certificate_of(twin, subscribed.next().json)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "sns.amazonaws.com"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["sns.amazonaws.com"]
    assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
    assert certificate.public_key().key_size == 2048
    assert (twin.var_dir / "sns-key.pem").stat().st_mode & 0o777 == 0o600
    assert requests.get(f"{twin.url}/SimpleNotificationService-0.pem", timeout=5).status_code == 403


def test_raw_delivery_posts_the_bare_message(sns, topic, subscribed):
    sns.set_subscription_attributes(
        SubscriptionArn=subscribed.arn,
        AttributeName="RawMessageDelivery",
        AttributeValue="true",
    )
    sns.publish(TopicArn=topic, Message="bare ä", Subject="gone")
    received = subscribed.next()
    assert received.body == "bare ä".encode()
    assert received.headers["x-amz-sns-rawdelivery"] == "true"


def use_quick_retries(sns, arn):
    sns.set_subscription_attributes(
        SubscriptionArn=arn,
        AttributeName="DeliveryPolicy",
        AttributeValue=json.dumps({"healthyRetryPolicy": QUICK}),
    )


def test_a_failed_delivery_is_tried_again_unchanged(sns, topic, subscribed, quiet):
    use_quick_retries(sns, subscribed.arn)
    subscribed.answers = [500, 503, 599, 502, 200]
    sns.publish(TopicArn=topic, Message="persistent")
    tries = [subscribed.next() for _ in range(5)]
    assert {each.body for each in tries} == {tries[0].body}
    assert {each.headers["x-amz-sns-message-id"] for each in tries} == {tries[0].json["MessageId"]}
    quiet()
    assert subscribed.is_empty()


def test_messages_wait_for_a_subscriber_that_is_down(sns, topic):
    with Subscriber() as first:
        arn = sns.subscribe(
            TopicArn=topic,
            Protocol="http",
            Endpoint=first.url,
            Attributes={"DeliveryPolicy": json.dumps({"healthyRetryPolicy": PATIENT})},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        sns.confirm_subscription(TopicArn=topic, Token=first.next().json["Token"])
    sent = {sns.publish(TopicArn=topic, Message=str(n))["MessageId"] for n in range(3)}
    with Subscriber(port=first.port) as second:
        received = {second.next().json["MessageId"] for _ in sent}
        sns.unsubscribe(SubscriptionArn=arn)
        assert second.next().json["Type"] == "UnsubscribeConfirmation"
    assert received == sent


def test_a_message_is_given_up_when_its_policy_is_exhausted(twin, sns, topic, subscribed, quiet):
    use_quick_retries(sns, subscribed.arn)
    before = twin.get("health").json()["exhausted"]
    subscribed.answers = [500] * 9
    sns.publish(TopicArn=topic, Message="hopeless")
    for _ in range(5):
        subscribed.next()
    quiet()
    assert subscribed.is_empty()
    assert twin.get("health").json()["exhausted"] == before + 1


@pytest.mark.parametrize("status", [204, 302, 403, 429])
def test_any_answer_below_500_ends_the_delivery(sns, topic, subscribed, quiet, status):
    subscribed.answers = [status]
    sns.publish(TopicArn=topic, Message="once")
    subscribed.next()
    quiet()
    with pytest.raises(queue.Empty):
        subscribed.next(timeout=0.1)


def test_nothing_is_lost_while_many_are_delivered_and_many_fail(sns, topic, subscribed, quiet):
    use_quick_retries(sns, subscribed.arn)
    subscribed.answers = [500, 200] * 30
    sent = {sns.publish(TopicArn=topic, Message=str(n))["MessageId"] for n in range(60)}
    quiet()
    received = set()
    while not subscribed.is_empty():
        received.add(subscribed.next().json["MessageId"])
    assert received == sent


def test_unsubscribing_says_goodbye_and_the_goodbyes_token_brings_it_back(
    twin, sns, topic, subscribed
):
    sns.unsubscribe(SubscriptionArn=subscribed.arn)
    goodbye = subscribed.next().json
    assert goodbye["Type"] == "UnsubscribeConfirmation"
    verify(twin, goodbye, hashes.SHA1())
    assert sns.list_subscriptions()["Subscriptions"] == []
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_subscription_attributes(SubscriptionArn=subscribed.arn)

    path = goodbye["SubscribeURL"].removeprefix("https://sns.us-east-1.amazonaws.com")
    answer = requests.get(twin.url + path, timeout=5)
    assert subscribed.arn in answer.text
    sns.publish(TopicArn=topic, Message="back")
    assert subscribed.next().json["Message"] == "back"


def test_a_new_subscription_takes_the_place_of_a_deleted_one(sns, topic, subscribed):
    sns.unsubscribe(SubscriptionArn=subscribed.arn)
    old_token = subscribed.next().json["Token"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscribed.url)
    with pytest.raises(sns.exceptions.InvalidParameterException):
        sns.confirm_subscription(TopicArn=topic, Token=old_token)
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1


def test_the_unsubscribe_url_works_only_without_authenticate_on_unsubscribe(
    twin, sns, topic, subscriber
):
    def confirm(**options):
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
        token = subscriber.next().json["Token"]
        sns.confirm_subscription(TopicArn=topic, Token=token, **options)
        sns.publish(TopicArn=topic, Message="x")
        return subscriber.next().json["UnsubscribeURL"].partition(".com/")[2]

    path = confirm(AuthenticateOnUnsubscribe="true")
    assert requests.get(f"{twin.url}/{path}", timeout=5).status_code == 403
    (listed,) = sns.list_subscriptions()["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=listed["SubscriptionArn"])
    assert subscriber.next().json["Type"] == "UnsubscribeConfirmation"

    path = confirm()
    assert requests.get(f"{twin.url}/{path}", timeout=5).status_code == 200
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_a_subscription_keeps_its_policies(sns, topic, subscriber):
    policies = {
        "DeliveryPolicy": json.dumps({"healthyRetryPolicy": QUICK}),
        "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dlq"}
        ),
        "RawMessageDelivery": "false",
    }
    arn = sns.subscribe(
        TopicArn=topic,
        Protocol="http",
        Endpoint=subscriber.url,
        Attributes=policies,
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert policies.items() <= attributes.items()
    effective = json.loads(attributes["EffectiveDeliveryPolicy"])["healthyRetryPolicy"]
    assert QUICK.items() <= effective.items()
    assert attributes["PendingConfirmation"] == "true"


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        '{"healthyRetryPolicy": {"numRetries": 101}}',
        '{"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}}',
        '{"healthyRetryPolicy": {"minDelayTarget": 30}}',
        '{"healthyRetryPolicy": {"backoffFunction": "magic"}}',
        '{"healthyRetries": {}}',
        '{"throttlePolicy": {"maxReceivesPerSecond": 0}}',
        '{"requestPolicy": {"headerContentType": "text/plain\\r\\nX-Evil: 1"}}',
    ],
)
def test_a_delivery_policy_that_sns_would_not_take_is_refused(sns, subscribed, policy):
    with pytest.raises(sns.exceptions.InvalidParameterException, match="DeliveryPolicy"):
        sns.set_subscription_attributes(
            SubscriptionArn=subscribed.arn, AttributeName="DeliveryPolicy", AttributeValue=policy
        )


def test_a_topics_default_policy_and_content_type_hold_for_its_subscriptions(
    sns, topic, subscribed
):
    policy = {
        "http": {
            "defaultHealthyRetryPolicy": QUICK,
            "defaultRequestPolicy": {"headerContentType": "application/json"},
        }
    }
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(policy)
    )
    subscribed.answers = [500]
    sns.publish(TopicArn=topic, Message="x")
    assert subscribed.next().headers["content-type"] == "application/json"
    assert subscribed.next(timeout=2).json["Message"] == "x"


def test_topics_are_made_once_listed_and_deleted_with_their_subscriptions(sns, topic, subscribed):
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (attributes["SubscriptionsConfirmed"], attributes["Owner"]) == ("1", "123456789012")
    assert sns.create_topic(Name="events")["TopicArn"] == topic
    with pytest.raises(sns.exceptions.InvalidParameterException, match="different attributes"):
        sns.create_topic(Name="events", Attributes={"SignatureVersion": "2"})
    assert sns.list_topics()["Topics"] == [{"TopicArn": topic}]

    sns.delete_topic(TopicArn=topic)
    assert sns.list_topics()["Topics"] == sns.list_subscriptions()["Subscriptions"] == []
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.publish(TopicArn=topic, Message="x")


def test_what_sns_would_not_take_is_refused(sns, topic):
    invalid = sns.exceptions.InvalidParameterException
    with pytest.raises(invalid):
        sns.create_topic(Name="no blanks")
    with pytest.raises(invalid, match="SignatureVersion"):
        sns.create_topic(Name="x", Attributes={"SignatureVersion": "3"})
    with pytest.raises(invalid, match="too long"):
        sns.publish(TopicArn=topic, Message="x" * 262_145)
    with pytest.raises(invalid, match="Subject"):
        sns.publish(TopicArn=topic, Message="x", Subject="two\nlines")
    for protocol, endpoint in [
        ("https", "http://a.test/"),
        ("http", "http://"),
        ("http", "http://a b/"),
        ("sms", "1"),
    ]:
        with pytest.raises(invalid):
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    with pytest.raises(invalid, match="MessageStructure"):
        sns.publish(TopicArn=topic, Message='{"default": "x"}', MessageStructure="json")
    with pytest.raises(ClientError, match="AttributeName"):
        sns.subscribe(
            TopicArn=topic,
            Protocol="http",
            Endpoint="http://127.0.0.1/",
            Attributes={"FilterPolicy": "{}"},
        )


def test_maximum_receives_per_second_spaces_deliveries(sns, topic, subscribed):
    sns.set_subscription_attributes(
        SubscriptionArn=subscribed.arn,
        AttributeName="DeliveryPolicy",
        AttributeValue='{"throttlePolicy": {"maxReceivesPerSecond": 4}}',
    )
    for number in range(3):
        sns.publish(TopicArn=topic, Message=str(number))
    subscribed.next()
    with pytest.raises(queue.Empty):
        subscribed.next(timeout=0.1)
    wait_until(lambda: not subscribed.is_empty())
    assert len([subscribed.next() for _ in range(2)]) == 2
