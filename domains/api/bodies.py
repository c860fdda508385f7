"""Request bodies of `/domains`, with the field names of Resend's clients."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from core import aws
from core.api.bodies import RequestBody, Text, unsupported_field
from core.api.fields import PHP_MAP
from domains.event_types import Switch
from domains.names import normalise
from domains.providers import require_available


def _region(value: str) -> str:
    # Each distinct region costs this process an AWS client that is never freed.
    if value not in aws.ses_regions():
        raise ValueError("must be an AWS region with SES, such as `eu-west-1`")
    return value


def _opportunistic(value: str) -> str:
    if value == "enforced":
        raise unsupported_field(
            "TLS is used whenever the recipient's server offers it, which is `opportunistic`"
        )
    return value


def _not_enabled(value: Switch) -> Switch:
    if value == "enabled":
        raise unsupported_field("this version cannot receive mail")
    return value


def _only_null(reason: str) -> BeforeValidator:
    def refuse(value: Any) -> None:
        if value is not None:
            raise unsupported_field(reason)

    return BeforeValidator(refuse)


Provider = Annotated[Literal["ses", "smtp"], AfterValidator(require_available)]


class CapabilitiesIn(RequestBody):
    """`receiving` can only be `disabled` in this version."""

    sending: Switch | None = None
    receiving: Annotated[Switch, AfterValidator(_not_enabled)] | None = None

    def columns(self) -> dict[str, bool]:
        switches = self.model_dump(exclude_none=True)
        return {name: switch == "enabled" for name, switch in switches.items()}


class _Settings(RequestBody):
    open_tracking: bool = False
    click_tracking: bool = False
    provider: Provider | None = None
    capabilities: Annotated[CapabilitiesIn, PHP_MAP] | None = None
    tls: Annotated[Literal["opportunistic", "enforced"], AfterValidator(_opportunistic)] | None = (
        None
    )
    tracking_subdomain: Annotated[
        None, _only_null("tracked links use the base URL of this installation")
    ] = None

    def columns(self) -> dict[str, Any]:
        """The settings in the request, by the columns of Domain."""
        columns: dict[str, Any] = self.model_dump(
            include={"open_tracking", "click_tracking"}, exclude_unset=True
        )
        if "provider" in self.model_fields_set:
            columns["provider"] = self.provider or ""
        return columns | (self.capabilities.columns() if self.capabilities else {})


class CreateDomain(_Settings):
    """With `provider` null, the domain uses the installation's default provider.

    `tls` can only be `opportunistic`; `tracking_subdomain` and `custom_return_path` only null.
    """

    name: Annotated[Text, AfterValidator(normalise)]
    region: Annotated[str, AfterValidator(_region)] | None = None
    custom_return_path: Annotated[
        None, _only_null("bounces go to the provider's own return path")
    ] = None


class UpdateDomain(_Settings):
    """Omitted fields keep their values. A null `provider` selects the installation's default.

    `tls` can only be `opportunistic` and `tracking_subdomain` only null. `id` is ignored: some
    clients repeat it from the path.
    """

    id: Text | None = None
