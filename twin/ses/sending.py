"""SendEmail and the account's limits (SES v2 API reference)."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any

from twin.aws import AwsError, Call
from twin.core import Twin
from twin.journal import Mail
from twin.ses.addresses import read_mailbox, split_mailboxes
from twin.ses.events import Sent, new_message_id
from twin.ses.identities import require_configuration_set, sending_identity
from twin.ses.mime import Message, build_simple, read_base64, read_message, wire_copy
from twin.ses.suppression import suppress_failing, suppressed_recipients
from twin.state import Identity, regional

_MAX_RECIPIENTS = 50
_MAX_TAGS = 50
_MAX_MESSAGE_BYTES = 40 * 1024 * 1024
_TAG = re.compile(r"[A-Za-z0-9_.@-]{1,256}")
_ADDRESS_FIELDS = ("ToAddresses", "CcAddresses", "BccAddresses")
# Headers by which SES takes parameters: the API call has fields for them.
_PARAMETERS = re.compile(r"x-ses-", re.IGNORECASE)
# Features whose resources can't be made here, so that every name of one is unknown.
_UNKNOWN_RESOURCES = ("ListManagementOptions", "TenantName", "EndpointId")


def get_account(twin: Twin, call: Call) -> dict[str, Any]:
    daily, rate = twin.quota.limits()
    return {
        "DedicatedIpAutoWarmupEnabled": False,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": True,
        "SendingEnabled": True,
        "SendQuota": {
            "Max24HourSend": daily,
            "MaxSendRate": rate,
            "SentLast24Hours": twin.quota.sent(call.region),
        },
        "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
        "Details": {
            "MailType": "TRANSACTIONAL",
            "ContactLanguage": "EN",
            "ReviewDetails": {"Status": "GRANTED"},
        },
    }


async def send_email(twin: Twin, call: Call) -> dict[str, Any]:
    submission = _read_submission(twin, call)
    twin.quota.take(call.region, len(submission.recipients))
    message_id = _accept(twin, call, submission)
    # Accepted before the wait: a caller killed meanwhile leaves a mail that was sent.
    if twin.faults.settings.latency_ms:
        await asyncio.sleep(twin.faults.settings.latency_ms / 1000)
    return {"MessageId": message_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    source: str
    destination: list[str]
    recipients: list[str]
    configuration_set: str | None
    tags: dict[str, str]
    operation: str
    message: Message


def _read_submission(twin: Twin, call: Call) -> _Submission:
    params = call.params
    for name in _UNKNOWN_RESOURCES:
        if params.get(name):
            raise AwsError("NotFoundException", f"{name} does not exist.", status=404)
    tags = _read_tags(params.get("EmailTags") or [])
    message, operation = _read_content(params)
    destination = _destination(params, message)
    recipients = [read_mailbox(each) for each in destination]
    source = params.get("FromEmailAddress") or message.get("From") or ""
    identity = _verified_identity(twin, call, source=source, message=message)
    configuration_set = _configuration_set(twin, call, identity)
    return _Submission(
        source=source,
        destination=destination,
        recipients=recipients,
        configuration_set=configuration_set,
        tags=tags,
        operation=operation,
        message=message,
    )


def _accept(twin: Twin, call: Call, submission: _Submission) -> str:
    now = time.time()
    message_id = new_message_id(call.region, now)
    host = "email" if call.region == "us-east-1" else call.region
    header_id = f"{message_id}@{host}.amazonses.com"
    suppressed = suppressed_recipients(twin, call.region, submission.recipients)
    if submission.configuration_set:
        twin.events.publish(
            Sent(
                id=message_id,
                region=call.region,
                at=now,
                source=submission.source,
                destination=submission.destination,
                recipients=submission.recipients,
                configuration_set=submission.configuration_set,
                tags=submission.tags,
                operation=submission.operation,
                source_ip=call.source_ip,
                message=submission.message,
                suppressed=suppressed,
            )
        )
    twin.journal.add_mail(
        Mail(
            id=message_id,
            region=call.region,
            at=now,
            source=submission.source,
            recipients=submission.recipients,
            tags=submission.tags,
            configuration_set=submission.configuration_set,
            raw=wire_copy(submission.message, message_id=header_id, now=now),
        )
    )
    suppress_failing(twin, call.region, submission.recipients)
    return message_id


def _read_tags(rows: list[dict[str, str]]) -> dict[str, str]:
    if len(rows) > _MAX_TAGS:
        raise _bad(f"Tag count exceeds {_MAX_TAGS}.")
    tags: dict[str, str] = {}
    for row in rows:
        for what in ("Name", "Value"):
            if not _TAG.fullmatch(row.get(what) or ""):
                raise _bad(
                    f"Invalid tag {what.lower()} <{row.get(what)}>: only alphanumeric ASCII "
                    "characters, '_', '-', '.', '@' are allowed."
                )
        if row["Name"] in tags:
            raise _bad(f"Duplicate tag name <{row['Name']}>.")
        tags[row["Name"]] = row["Value"]
    return tags


def _read_content(params: dict[str, Any]) -> tuple[Message, str]:
    """The message and the operation's name as the automatic tag `ses:operation` has it."""
    content = params.get("Content") or {}
    if "Raw" in content:
        return _sized(read_base64(content["Raw"].get("Data") or "")), "SendRawEmail"
    if "Simple" in content:
        if not params.get("FromEmailAddress"):
            raise _bad("Missing required parameter FromEmailAddress.")
        raw = build_simple(
            content["Simple"],
            sender=params["FromEmailAddress"],
            destination=params.get("Destination") or {},
            reply_to=params.get("ReplyToAddresses") or [],
        )
        return _sized(raw), "SendEmail"
    if "Template" in content:
        name = content["Template"].get("TemplateName")
        raise AwsError("NotFoundException", f"Template {name} does not exist.", status=404)
    raise _bad("Content must have one of Raw, Simple and Template.")


def _sized(raw: bytes) -> Message:
    if len(raw) > _MAX_MESSAGE_BYTES:
        raise _bad(f"Message length is more than {_MAX_MESSAGE_BYTES} bytes long: '{len(raw)}'.")
    message = read_message(raw)
    for header in message.headers:
        if _PARAMETERS.match(header.name):
            raise _bad(f"The twin does not support the header {header.name}.")
    return message


def _destination(params: dict[str, Any], message: Message) -> list[str]:
    """Destination replaces the headers for the envelope; only without it do the headers count."""
    given = params.get("Destination") or {}
    mailboxes = [each for field in _ADDRESS_FIELDS for each in given.get(field) or []]
    if not mailboxes:
        headers = [each for each in message.headers if each.name.lower() in ("to", "cc", "bcc")]
        mailboxes = [each for header in headers for each in split_mailboxes(header.value)]
    if not mailboxes:
        raise _bad("Message must have at least one recipient.")
    if len(mailboxes) > _MAX_RECIPIENTS:
        raise _bad(f"Recipient count exceeds {_MAX_RECIPIENTS}.")
    return mailboxes


def _verified_identity(twin: Twin, call: Call, *, source: str, message: Message) -> Identity:
    """Source, From, Sender and Return-Path must all be verified; the source's identity counts."""
    wanted = [read_mailbox(source)]
    for header in ("From", "Sender", "Return-Path"):
        value = message.get(header)
        if value:
            wanted += [read_mailbox(each) for each in split_mailboxes(value)]
    found = {each: sending_identity(twin.store, call.region, each) for each in wanted}
    failed = [address for address, identity in found.items() if identity is None]
    identity = found[wanted[0]]
    if failed or identity is None:
        raise AwsError(
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in "
            f"region {call.region.upper()}: {', '.join(failed)}",
        )
    return identity


def _configuration_set(twin: Twin, call: Call, identity: Identity) -> str | None:
    name = call.params.get("ConfigurationSetName") or identity.configuration_set
    if name is None:
        return None
    require_configuration_set(twin.store, call.region, name)
    found = twin.store.configuration_sets[regional(call.region, name)]
    if found.options.get("SendingOptions", {}).get("SendingEnabled") is False:
        raise AwsError("SendingPausedException", f"Sending paused for configuration set {name}.")
    return str(name)


def _bad(message: str) -> AwsError:
    return AwsError("BadRequestException", message)
