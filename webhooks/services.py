"""Creating, changing and deleting endpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, OuterRef, Subquery
from django.db.models.functions import Least, Now
from django.utils import timezone

from accounts.models import Workspace
from core.api.field_errors import short
from core.errors import Conflict, NotFound, ValidationFailed
from core.outbound import UnsafeUrl, check_url
from core.queue.wake import wake
from core.times import iso
from events.catalogue import is_subscribable
from webhooks import filters, queues
from webhooks.dispatch import custom_headers
from webhooks.dispatch.outbound_policy import outbound_policy
from webhooks.dispatch.signing import MAX_KEYS, Keyring, decrypt_keyring
from webhooks.health import PROBE_AFTER
from webhooks.models import Delivery, Endpoint, EndpointRateLimit

# Enabling an endpoint clears its failure history.
_NO_FAILURES: dict[str, Any] = {
    "disabled_at": None,
    "failures_in_a_row": 0,
    "failing_since": None,
    "failing_notified_at": None,
    "probe_at": None,
    "disabled_reason": "",
}
# Options that are stored unchanged.
_PLAIN = {"url", "event_types", "description", "rate_limit", *filters.NAMES}


class TooManySecrets(Conflict):
    name = "too_many_signing_secrets"

    def __init__(self, possible_from: datetime) -> None:
        at = iso(possible_from)
        super().__init__(
            f"This webhook already has {MAX_KEYS} active signing secrets, which is the maximum."
            f" The oldest expires at {at}; rotate again then.",
            details={"possible_from": at},
        )


class Options(TypedDict, total=False):
    """Optional settings of an endpoint; see Endpoint."""

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
    status: str = Endpoint.Status.ENABLED,
    **options: Unpack[Options],
) -> tuple[Endpoint, str]:
    """Create an endpoint; returns it with its signing secret, which is shown only once."""
    _check(workspace, {"url": url, "event_types": event_types, **options})
    keyring = Keyring.new(ed25519=ed25519)
    endpoint = Endpoint(
        workspace=workspace,
        url=url,
        event_types=event_types,
        description=description,
        **_keyring_columns(keyring),
        **_option_columns(options),
    )
    for name, value in _status_columns(endpoint, {"status": status}).items():
        setattr(endpoint, name, value)
    with transaction.atomic():
        endpoint.save(force_insert=True)
        _set_rate_limit(endpoint)
    return endpoint, keyring.newest.secret


def update_endpoint(endpoint: Endpoint, changes: Mapping[str, Any]) -> Endpoint:
    """Change `status` or any option of `create_endpoint`; options not in `changes` stay.

    Pending deliveries of a disabled endpoint fail in the background. Raises NotFound if the
    endpoint was deleted meanwhile.
    """
    _check(endpoint.workspace, changes)
    with transaction.atomic():
        endpoint = _locked(endpoint)
        columns = _option_columns(changes) | _v1a_columns(endpoint, changes)
        columns |= _status_columns(endpoint, changes)
        _write(endpoint, columns)
        if "rate_limit" in columns:
            _set_rate_limit(endpoint)
        disabled = endpoint.status == Endpoint.Status.DISABLED
        wake(queues.CLEAN_UP.task if disabled else queues.DELIVER.task)
    return endpoint


def rotate_secret(endpoint: Endpoint) -> tuple[Endpoint, Keyring]:
    """Sign with a new secret; the previous one stays active for OVERLAP.

    Raises TooManySecrets when MAX_KEYS are active, NotFound if the endpoint was deleted.
    """
    with transaction.atomic():
        endpoint, now = _locked(endpoint), timezone.now()
        keyring = decrypt_keyring(endpoint.encrypted_keyring)
        if (possible := keyring.rotatable_from(now)) > now:
            raise TooManySecrets(possible)
        keyring = keyring.rotated(now)
        _write(endpoint, _keyring_columns(keyring))
    return endpoint, keyring


def delete_endpoint(endpoint: Endpoint) -> None:
    """Hide the endpoint from its owner immediately; its rows are deleted in the background."""
    with transaction.atomic():
        endpoint.deleted_at, endpoint.status = timezone.now(), Endpoint.Status.DISABLED
        endpoint.save(update_fields=["deleted_at", "status"])
        wake(queues.CLEAN_UP.task)


@dataclass(frozen=True, slots=True)
class DeliverNow:
    """How many of the pending deliveries are attempted now, and how many are not."""

    attempted: int
    # Next in line at a half-open endpoint, which gets one request at a time.
    behind_probe: int
    # Not changed, because their endpoint is disabled.
    disabled: int


def deliver_now(deliveries: Sequence[Delivery]) -> DeliverNow:
    """Attempt pending deliveries ahead of all others of their endpoints.

    A half-open endpoint is probed now, with one of them. Deliveries in flight are left alone.
    """
    pending = Delivery.objects.filter(
        pk__in=[delivery.pk for delivery in deliveries], status=Delivery.Status.PENDING
    )
    with transaction.atomic():
        # Endpoints before deliveries, like the recording of results.
        endpoints = Endpoint.objects.filter(pk__in=pending.values("endpoint")).order_by("pk")
        locked = (
            endpoints.only("status", "failures_in_a_row").select_for_update(no_key=True).in_bulk()
        )
        rows = pending.order_by("pk").select_for_update(skip_locked=True, no_key=True)
        chosen = [
            (key, locked[endpoint_id])
            for key, endpoint_id in rows.values_list("pk", "endpoint_id")
            if endpoint_id in locked
        ]
        moved = [key for key, endpoint in chosen if endpoint.status == Endpoint.Status.ENABLED]
        _move_to_front(moved)
        waiting = [endpoint.pk for key, endpoint in chosen if _is_half_open(endpoint)]
        probed = _probe_now(set(waiting))
        wake(queues.DELIVER.task)
    behind = len(waiting) - probed
    return DeliverNow(len(moved) - behind, behind, len(chosen) - len(moved))


def _is_half_open(endpoint: Endpoint) -> bool:
    is_enabled = endpoint.status == Endpoint.Status.ENABLED
    return is_enabled and endpoint.failures_in_a_row >= PROBE_AFTER


def _move_to_front(keys: Sequence[UUID]) -> None:
    """Due before everything else of their endpoints, and never later than they were."""
    unfinished = Delivery.objects.filter(
        endpoint=OuterRef("endpoint"), next_attempt_at__isnull=False
    )
    first = Subquery(unfinished.order_by("next_attempt_at").values("next_attempt_at")[:1])
    ahead = ExpressionWrapper(first - timedelta(milliseconds=1), output_field=DateTimeField())
    Delivery.objects.filter(pk__in=keys).update(next_attempt_at=Least(Now(), ahead))


def _probe_now(half_open: set[UUID]) -> int:
    """Make these endpoints' next probes due; the number of those without a probe in flight."""
    in_flight = Delivery.objects.filter(
        endpoint__in=half_open, status=Delivery.Status.ATTEMPTING, next_attempt_at__gt=Now()
    )
    free = half_open - set(in_flight.values_list("endpoint", flat=True))
    return Endpoint.objects.filter(pk__in=free).update(probe_at=Now())


def _locked(endpoint: Endpoint) -> Endpoint:
    """Reload and lock the row, so that a concurrent change is neither lost nor undone."""
    rows = Endpoint.objects.filter(pk=endpoint.pk, deleted_at=None)
    # no_key, so that inserting deliveries, which reference it, doesn't wait.
    locked = rows.select_for_update(no_key=True).first()
    if locked is None:
        raise NotFound(f"There is no webhook `{endpoint.pk}`.")
    return locked


def _write(endpoint: Endpoint, columns: Mapping[str, Any]) -> None:
    for field, value in columns.items():
        setattr(endpoint, field, value)
    endpoint.save(update_fields=list(columns))


def _option_columns(options: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in options.items() if name in _PLAIN}
    if "headers" in options:
        headers = custom_headers.trim(options["headers"])
        columns["encrypted_headers"] = custom_headers.encrypt(headers)
        columns["header_names"] = list(headers)
    return columns


def _keyring_columns(keyring: Keyring) -> dict[str, Any]:
    return {
        "encrypted_keyring": keyring.encrypted(),
        "public_key": keyring.newest.public_key,
    }


def _v1a_columns(endpoint: Endpoint, changes: Mapping[str, Any]) -> dict[str, Any]:
    if changes.get("ed25519", bool(endpoint.public_key)) == bool(endpoint.public_key):
        return {}
    keyring = decrypt_keyring(endpoint.encrypted_keyring)
    changed = keyring.with_ed25519() if changes["ed25519"] else keyring.without_ed25519()
    return _keyring_columns(changed)


def _status_columns(endpoint: Endpoint, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Empty if the status stays the same: the reason and the failure history are kept then."""
    status = changes.get("status", endpoint.status)
    if status == endpoint.status:
        return {}
    if status == Endpoint.Status.DISABLED:
        return {"status": status, "disabled_at": timezone.now()}
    return {"status": status, **_NO_FAILURES}


def _set_rate_limit(endpoint: Endpoint) -> None:
    """Create, update or delete the token bucket. An existing bucket keeps its tokens: setting
    the same limit again must not refill it."""
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
