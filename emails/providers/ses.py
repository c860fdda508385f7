"""Amazon SES API v2: SendEmail with raw content."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)

from core import aws
from core.addresses import simulator_address
from emails.providers import (
    Accepted,
    Limits,
    NotTaken,
    Outbound,
    OutcomeUnknown,
    QuotaExceeded,
    Refused,
    Throttled,
)

if TYPE_CHECKING:
    from mypy_boto3_sesv2.type_defs import SendEmailRequestTypeDef

EMAIL_TAG = "opensend_email_id"
MAX_TAGS = 50  # the limit of SES, including EMAIL_TAG

# Without a connection nothing can have been sent.
_NEVER_CONNECTED = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)
# SES API v2 Reference, SendEmail and Common Errors: errors that pass on their own or that an
# operator fixes (a paused account, missing permissions), so no message may fail for them.
_THROTTLING = frozenset(
    {"TooManyRequestsException", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
)
_TEMPORARY = frozenset(
    {
        "LimitExceededException",
        "ServiceUnavailable",
        "SendingPausedException",
        "AccountSuspendedException",
        "AccessDeniedException",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "RequestExpired",
        "ConcurrentModificationException",
    }
)


class SesProvider:
    name = "ses"

    def bucket(self, region: str) -> str:
        return region

    def prepare(self, region: str) -> None:
        aws.ses(region)

    def limits(self, region: str) -> Limits:
        quota = aws.ses(region).get_account()["SendQuota"]
        daily = quota["Max24HourSend"]
        return Limits(
            rate=quota["MaxSendRate"],
            daily_quota=None if daily < 0 else daily,  # -1 means unlimited
            sent_24h=quota["SentLast24Hours"],
        )

    def send(self, message: Outbound) -> Accepted:
        client = aws.ses(message.region)
        try:
            response = client.send_email(**_request(message))
        except ClientError as error:
            raise _classify(error) from error
        except _NEVER_CONNECTED as error:
            raise NotTaken(str(error)) from error
        except BotoCoreError as error:  # a timeout, or the connection broke
            raise OutcomeUnknown(str(error)) from error
        return Accepted(
            provider_message_id=response["MessageId"],
            message_id=wire_message_id(response["MessageId"], message.region),
            provider_response={
                "MessageId": response["MessageId"],
                "RequestId": response["ResponseMetadata"].get("RequestId", ""),
            },
        )


def wire_message_id(provider_message_id: str, region: str) -> str:
    """The Message-ID header with which SES replaces ours."""
    host = "email" if region == "us-east-1" else region
    return f"<{provider_message_id}@{host}.amazonses.com>"


def _request(message: Outbound) -> "SendEmailRequestTypeDef":
    tags = [{"Name": EMAIL_TAG, "Value": message.email_id}]
    tags += [{"Name": name, "Value": value} for name, value in message.tags.items()]
    request: Any = {
        "FromEmailAddress": message.sender,
        # The envelope; for raw content it takes precedence over the headers.
        "Destination": {
            "ToAddresses": [simulator_address(each) for each in message.to],
            "CcAddresses": [simulator_address(each) for each in message.cc],
            "BccAddresses": [simulator_address(each) for each in message.bcc],
        },
        "Content": {"Raw": {"Data": message.mime}},
        "EmailTags": tags[:MAX_TAGS],
    }
    if message.configuration_set:
        request["ConfigurationSetName"] = message.configuration_set
    final: SendEmailRequestTypeDef = request
    return final


def _classify(error: ClientError) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if (code in _THROTTLING or code == "LimitExceededException") and _is_daily_quota(error):
        return QuotaExceeded("daily_quota")
    if code in _THROTTLING:
        return Throttled(str(error))
    if code in _TEMPORARY or status == 429 or status >= 500:
        return NotTaken(str(error))
    return Refused(str(error))


def _is_daily_quota(error: ClientError) -> bool:
    # "Daily message quota exceeded." has the same error code as throttling.
    return "daily" in error.response.get("Error", {}).get("Message", "").lower()
