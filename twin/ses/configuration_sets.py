"""Configuration sets and where they publish events to (SES v2 API reference)."""

import re
from typing import Any

from twin.aws import AwsError, Call
from twin.core import Twin
from twin.ses.identities import read_page
from twin.state import ConfigurationSet, EventDestination, regional

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENT_TYPES = {
    *("SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "OPEN", "CLICK"),
    *("RENDERING_FAILURE", "DELIVERY_DELAY", "SUBSCRIPTION"),
}
_OPTIONS = (
    *("TrackingOptions", "DeliveryOptions", "ReputationOptions", "SendingOptions", "Tags"),
    *("SuppressionOptions", "VdmOptions", "ArchivingOptions", "MessageSecurityOptions"),
)
_MAX_DESTINATIONS = 10
_VALIDATION_MESSAGE = "Successfully validated SNS topic for Amazon SES event publishing."


def create_configuration_set(twin: Twin, call: Call) -> dict[str, Any]:
    name = _read_name(call.params.get("ConfigurationSetName"), "configuration set")
    key = regional(call.region, name)
    if key in twin.store.configuration_sets:
        message = f"Configuration set <{name}> already exists."
        raise AwsError("AlreadyExistsException", message)
    options = {each: call.params[each] for each in _OPTIONS if call.params.get(each) is not None}
    twin.store.configuration_sets[key] = ConfigurationSet(
        name=name, region=call.region, options=options
    )
    twin.store.changed()
    return {}


def get_configuration_set(twin: Twin, call: Call) -> dict[str, Any]:
    found = _find(twin, call)
    defaults = {
        "SendingOptions": {"SendingEnabled": True},
        "ReputationOptions": {"ReputationMetricsEnabled": False},
        "DeliveryOptions": {"TlsPolicy": "OPTIONAL"},
        "Tags": [],
    }
    return {"ConfigurationSetName": found.name, **defaults, **found.options}


def list_configuration_sets(twin: Twin, call: Call) -> dict[str, Any]:
    sets = twin.store.configuration_sets.values()
    names, token = read_page([each.name for each in sets if each.region == call.region], call)
    return {"ConfigurationSets": names, **({"NextToken": token} if token else {})}


def delete_configuration_set(twin: Twin, call: Call) -> dict[str, Any]:
    found = _find(twin, call)
    del twin.store.configuration_sets[regional(found.region, found.name)]
    twin.store.changed()
    return {}


def create_event_destination(twin: Twin, call: Call) -> dict[str, Any]:
    """SES proves that it may publish to the topic with a message in plain text."""
    found = _find(twin, call)
    name = _read_name(call.params.get("EventDestinationName"), "event destination")
    if any(each.name == name for each in found.destinations):
        message = f"Event destination <{name}> already exists."
        raise AwsError("AlreadyExistsException", message)
    if len(found.destinations) >= _MAX_DESTINATIONS:
        raise AwsError("LimitExceededException", "Too many event destinations.")
    destination = _read_destination(twin, call, name=name)
    found.destinations.append(destination)
    twin.store.changed()
    twin.publisher.publish(destination.topic_arn, _VALIDATION_MESSAGE)
    return {}


def get_event_destinations(twin: Twin, call: Call) -> dict[str, Any]:
    rows = [
        {
            "Name": each.name,
            "Enabled": each.enabled,
            "MatchingEventTypes": each.event_types,
            "SnsDestination": {"TopicArn": each.topic_arn},
        }
        for each in _find(twin, call).destinations
    ]
    return {"EventDestinations": rows}


def update_event_destination(twin: Twin, call: Call) -> dict[str, Any]:
    found = _find(twin, call)
    position = _position(found, call)
    name = found.destinations[position].name
    found.destinations[position] = _read_destination(twin, call, name=name)
    twin.store.changed()
    return {}


def delete_event_destination(twin: Twin, call: Call) -> dict[str, Any]:
    found = _find(twin, call)
    del found.destinations[_position(found, call)]
    twin.store.changed()
    return {}


def _find(twin: Twin, call: Call) -> ConfigurationSet:
    name = call.params["ConfigurationSetName"]
    found = twin.store.configuration_sets.get(regional(call.region, name))
    if found is None:
        message = f"Configuration set <{name}> does not exist."
        raise AwsError("NotFoundException", message, status=404)
    return found


def _position(found: ConfigurationSet, call: Call) -> int:
    name = call.params["EventDestinationName"]
    for position, destination in enumerate(found.destinations):
        if destination.name == name:
            return position
    message = f"Event destination <{name}> does not exist."
    raise AwsError("NotFoundException", message, status=404)


def _read_name(name: Any, what: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AwsError(
            "BadRequestException",
            f"Invalid {what} name <{name}>: only alphanumeric ASCII characters, '_', and '-' "
            "are allowed.",
        )
    return name


def _read_destination(twin: Twin, call: Call, *, name: str) -> EventDestination:
    definition = call.params.get("EventDestination") or {}
    event_types = definition.get("MatchingEventTypes") or []
    unknown = set(event_types) - _EVENT_TYPES
    if not event_types or unknown:
        raise AwsError("BadRequestException", f"Invalid event types: {sorted(unknown)}.")
    topic_arn = (definition.get("SnsDestination") or {}).get("TopicArn")
    if not topic_arn:
        raise AwsError("BadRequestException", "The twin publishes to an SnsDestination only.")
    if topic_arn not in twin.store.topics or topic_arn.split(":")[3] != call.region:
        raise AwsError("BadRequestException", f"SNS topic <{topic_arn}> does not exist.")
    return EventDestination(
        name=name,
        enabled=bool(definition.get("Enabled", False)),
        event_types=list(event_types),
        topic_arn=topic_arn,
    )
