"""The verbs on endpoints."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Workspace
from core.api.field_errors import short
from core.errors import Conflict, NotFound, ValidationFailed
from core.outbound import UnsafeUrl, check_url
from core.queue.wake import wake
from core.times import iso
from events.catalogue import is_subscribable
from webhooks import filters
from webhooks.cleanup import CLEAN_UP
from webhooks.dispatch import custom_headers
from webhooks.dispatch.signing import MAX_KEYS, Keyring, opened
from webhooks.fanout import DELIVER
from webhooks.models import Delivery, Endpoint, EndpointRateLimit
from webhooks.outbound_policy import outbound_policy

# An endpoint that begins anew is asked as if it had never failed.
_FRESH: dict[str, Any] = {
    "disabled_at": None,
    "failures_in_a_row": 0,
    "failing_since": None,
    "failing_notified_at": None,
    "probe_at": None,
    "disabled_reason": "",
}
# Stored as they are given.
_PLAIN = {"url", "event_types", "description", "rate_limit", *filters.NAMES}


class TooManySecrets(Conflict):
    name = "too_many_signing_secrets"

    def __init__(self, possible_from: datetime) -> None:
        at = iso(possible_from)
        super().__init__(
            f"{MAX_KEYS} secrets sign for this webhook, and no more can. The oldest ends at {at};"
            " rotate again then.",
            details={"possible_from": at},
        )


class Options(TypedDict, total=False):
    """What an endpoint may have beside the needful; see Endpoint."""

    headers: Mapping[str, str]
    domain_ids: list[UUID]
    pod_ids: list[UUID]
    inbox_ids: list[UUID]
    rate_limit: int | None


def create_endpoint(
    *,
    workspace: Workspace,
    url: str,
    event_types: list[str],
    description: str = "",
    ed25519: bool = False,
    **options: Unpack[Options],
) -> tuple[Endpoint, str]:
    """A new endpoint and its signing secret, which is shown this once."""
    _check(workspace, {"url": url, "event_types": event_types, **options})
    keyring = Keyring.new(ed25519=ed25519)
    endpoint = Endpoint(
        workspace=workspace,
        url=url,
        event_types=event_types,
        description=description,
        **_columns_of(keyring),
        **_columns_for(options),
    )
    with transaction.atomic():
        endpoint.save(force_insert=True)
        _set_pace(endpoint)
    return endpoint, keyring.newest.secret


def update_endpoint(endpoint: Endpoint, changes: Mapping[str, Any]) -> Endpoint:
    """Change what `create_endpoint` takes, or `status`; what isn't named stays.

    What is still owed to a disabled endpoint fails, in the background. NotFound when it was
    deleted meanwhile.
    """
    _check(endpoint.workspace, changes)
    with transaction.atomic():
        endpoint = _locked(endpoint)
        columns = _columns_for(changes) | _columns_of_v1a(endpoint, changes)
        columns |= _columns_of_status(endpoint, changes)
        _write(endpoint, columns)
        if "rate_limit" in columns:
            _set_pace(endpoint)
        wake(CLEAN_UP if endpoint.status == Endpoint.Status.DISABLED else DELIVER)
    return endpoint


def rotate_secret(endpoint: Endpoint) -> tuple[Endpoint, Keyring]:
    """Sign with a new secret; the one so far signs along for OVERLAP.

    TooManySecrets when too many are signing already, NotFound when the endpoint was deleted.
    """
    with transaction.atomic():
        endpoint, now = _locked(endpoint), timezone.now()
        keyring = opened(endpoint.encrypted_keyring)
        if (possible := keyring.rotatable_from(now)) > now:
            raise TooManySecrets(possible)
        keyring = keyring.rotated(now)
        _write(endpoint, _columns_of(keyring))
    return endpoint, keyring


def delete_endpoint(endpoint: Endpoint) -> None:
    """The endpoint is gone for its owner at once; its rows are removed in the background."""
    with transaction.atomic():
        endpoint.deleted_at, endpoint.status = timezone.now(), Endpoint.Status.DISABLED
        endpoint.save(update_fields=["deleted_at", "status"])
        wake(CLEAN_UP)


def deliver_now(deliveries: "list[Delivery]") -> int:
    """Try open deliveries at once instead of at their planned time; how many there were."""
    waiting = Delivery.objects.filter(
        pk__in=[delivery.pk for delivery in deliveries], status=Delivery.Status.PENDING
    )
    with transaction.atomic():
        hurried = waiting.update(next_attempt_at=Now())
        wake(DELIVER)
    return hurried


def _locked(endpoint: Endpoint) -> Endpoint:
    """The row as it is now: what another request changed is neither lost nor undone."""
    rows = Endpoint.objects.filter(pk=endpoint.pk, deleted_at=None)
    # no_key, because new deliveries refer to it and need not wait.
    locked = rows.select_for_update(no_key=True).first()
    if locked is None:
        raise NotFound(f"There is no webhook `{endpoint.pk}`.")
    return locked


def _write(endpoint: Endpoint, columns: Mapping[str, Any]) -> None:
    for field, value in columns.items():
        setattr(endpoint, field, value)
    endpoint.save(update_fields=list(columns))


def _columns_for(options: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of what is stored as it was given, and of the headers."""
    columns = {name: value for name, value in options.items() if name in _PLAIN}
    if "headers" in options:
        headers = custom_headers.trimmed(options["headers"])
        columns["encrypted_headers"] = custom_headers.sealed(headers)
        columns["header_names"] = list(headers)
    return columns


def _columns_of(keyring: Keyring) -> dict[str, Any]:
    return {
        "encrypted_keyring": keyring.sealed(),
        "public_key": keyring.newest.public_key,
    }


def _columns_of_v1a(endpoint: Endpoint, changes: Mapping[str, Any]) -> dict[str, Any]:
    if changes.get("ed25519", bool(endpoint.public_key)) == bool(endpoint.public_key):
        return {}
    keyring = opened(endpoint.encrypted_keyring)
    return _columns_of(keyring.with_ed25519() if changes["ed25519"] else keyring.without_ed25519())


def _columns_of_status(endpoint: Endpoint, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing for a status that it has: why it is disabled, or how it is doing, stays."""
    status = changes.get("status", endpoint.status)
    if status == endpoint.status:
        return {}
    if status == Endpoint.Status.DISABLED:
        return {"status": status, "disabled_at": timezone.now()}
    return {"status": status, **_FRESH}


def _set_pace(endpoint: Endpoint) -> None:
    """The endpoint's bucket is that of its limit. One that is there keeps its tokens: a change
    that changes nothing must not fill it."""
    if endpoint.rate_limit is None:
        EndpointRateLimit.objects.filter(endpoint=endpoint).delete()
    else:
        EndpointRateLimit.objects.update_or_create(
            endpoint=endpoint,
            defaults={"rate": endpoint.rate_limit},
            create_defaults={"rate": endpoint.rate_limit, "tokens": 1},
        )


def _check(workspace: Workspace, options: Mapping[str, Any]) -> None:
    problems: dict[str, str] = {}
    if "url" in options:
        try:
            check_url(options["url"], outbound_policy())
        except UnsafeUrl as error:
            problems["endpoint"] = str(error)
    for index, name in enumerate(options.get("event_types", [])):
        if not is_subscribable(name):
            problems[f"events.{index}"] = short(f"`{name}` is not an event type or group")
    problems |= custom_headers.problems(options.get("headers", {}))
    problems |= filters.problems(
        workspace, {name: options[name] for name in filters.NAMES if name in options}
    )
    if problems:
        raise ValidationFailed(problems)
