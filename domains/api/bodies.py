"""Request bodies of `/domains`, in the words of Resend's clients."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from core import aws
from core.api.bodies import RequestBody, Text, unsupported
from domains.names import normalise
from domains.providers import available
from events.payloads.domains import Switch


def _region(given: str) -> str:
    # Each region that is named costs this process a client for as long as it runs.
    if given not in aws.ses_regions():
        raise ValueError("must be an AWS region that has SES, such as `eu-west-1`")
    return given


def _opportunistic(given: str) -> str:
    if given == "enforced":
        raise unsupported(
            "mail leaves by TLS where the recipient's server has it, which is `opportunistic`"
        )
    return given


def _not_enabled(given: Switch) -> Switch:
    if given == "enabled":
        raise unsupported("this version takes no mail in")
    return given


def _refused(why: str) -> BeforeValidator:
    def refuse(given: Any) -> None:
        if given is not None:
            raise unsupported(why)

    return BeforeValidator(refuse)


Provider = Annotated[Literal["ses", "smtp"], AfterValidator(available)]


class CapabilitiesIn(RequestBody):
    """`receiving` can only be `disabled` in this version."""

    sending: Switch | None = None
    receiving: Annotated[Switch, AfterValidator(_not_enabled)] | None = None

    def columns(self) -> dict[str, bool]:
        given = self.model_dump(exclude_none=True)
        return {name: switch == "enabled" for name, switch in given.items()}


class _Settings(RequestBody):
    open_tracking: bool = False
    click_tracking: bool = False
    provider: Provider | None = None
    capabilities: CapabilitiesIn | None = None
    tls: Annotated[Literal["opportunistic", "enforced"], AfterValidator(_opportunistic)] | None = (
        None
    )
    tracking_subdomain: Annotated[
        None, _refused("tracked links have the address of this installation")
    ] = None

    def columns(self) -> dict[str, Any]:
        """The settings that the request names, as a domain keeps them."""
        named: dict[str, Any] = self.model_dump(
            include={"open_tracking", "click_tracking"}, exclude_unset=True
        )
        if "provider" in self.model_fields_set:
            named["provider"] = self.provider or ""
        return named | (self.capabilities.columns() if self.capabilities else {})


class CreateDomain(_Settings):
    """`provider` null leaves the choice to the installation. `tls` can only be `opportunistic`,
    `tracking_subdomain` and `custom_return_path` null."""

    name: Annotated[Text, AfterValidator(normalise)]
    region: Annotated[str, AfterValidator(_region)] | None = None
    custom_return_path: Annotated[
        None, _refused("bounces return to the provider's own address")
    ] = None


class UpdateDomain(_Settings):
    """What isn't named stays as it is. `provider` null leaves the choice to the installation.

    `tls` can only be `opportunistic`, `tracking_subdomain` null. `id` is what clients repeat from
    the path; nothing reads it.
    """

    id: Text | None = None
