"""`@operation`: an endpoint is one typed method, and everything around it is said once.

    class SigningSecretRotation(ApiView):
        tag = "Webhooks"

        @operation("Rotate a signing secret", needs=Scope.WEBHOOKS_WRITE, idempotent=True)
        def post(self, access: Access, webhook_id: str) -> SecretRotated:
            ...

The parameter `body` is the validated request, by its annotation; the return annotation is the
answer: a pydantic model, a `Page` of them, or a Django response as it is. A DomainError that is
returned, and not raised, is answered like one and keeps what was written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from inspect import signature
from types import NoneType, UnionType
from typing import (
    Any,
    Generic,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel
from rest_framework.response import Response

from accounts.access import Access, Scope
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent, kept_answer
from core.api.bodies import RequestBody
from core.api.dialects import Page

T = TypeVar("T")


class View(Protocol):
    """What an operation needs of its view (accounts.views.ApiView)."""

    request: Any

    def respond(self, result: Any, status: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class FollowUp(Generic[T]):
    """The answer so far, and the work after its commit whose result is the final answer.

    While it runs, repetitions of an idempotent request are refused; where it breaks off, they get
    the answer so far. There is no transaction open.
    """

    answer: T
    work: Callable[[], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyReader:
    """How a body is read that isn't simply one model. `schema` describes it.

    `is_slow(data)`: whether reading it waits for others, so that it must be over before the
    transaction of an idempotent request begins. `variant(request)` is what changes the meaning of
    the body, such as a header. `authorise(request, access)` refuses a body by the caller's limits
    alone, before the answer to an earlier request can be its answer; the body may be malformed.
    """

    schema: Any
    read: Callable[[ApiRequest, Access], Any]
    authorise: Callable[[ApiRequest, Access], None] = lambda request, access: None
    is_slow: Callable[[Any], bool] = lambda data: False
    variant: Callable[[ApiRequest], str] = lambda request: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the decorator knows of one method; the OpenAPI document is made of it."""

    summary: str
    needs: Scope | None
    status: int
    media_type: str
    body: type[RequestBody] | None
    reader: BodyReader | None
    answer: Any  # a model, or an OpenAPI type
    is_page: bool
    is_idempotent: bool
    no_store: bool
    parameters: Sequence[OpenApiParameter]
    errors: Sequence[int]


def operation(
    summary: str,
    *,
    needs: Scope | None,
    status: int = 200,
    idempotent: bool = False,
    no_store: bool = False,
    reads: BodyReader | None = None,
    answers: Any = None,
    media_type: str = "application/json",
    parameters: Sequence[OpenApiParameter] = (),
    errors: Sequence[int] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe, authorise, parse, make idempotent and render one method of an ApiView.

    The operation's id in the OpenAPI document is made of `summary`. `answers` describes what the
    return annotation doesn't; `errors` are statuses beside those that every operation may have.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        body, answer, is_page = _annotations(method)
        described = Operation(
            summary=summary,
            needs=needs,
            status=status,
            media_type=media_type,
            body=body,
            reader=reads,
            answer=answers or answer,
            is_page=is_page,
            is_idempotent=idempotent,
            no_store=no_store,
            parameters=parameters,
            errors=errors,
        )
        takes_body = "body" in signature(method).parameters

        @wraps(method)
        def handle(view: View, request: ApiRequest, **path: str) -> Any:
            run = _Run(view, request, described, partial(method, view), path, takes_body)
            response = run.once() if idempotent else run.act()
            if no_store:  # nothing on the way keeps a copy of a secret (RFC 9111, 5.2.2.5)
                response["Cache-Control"] = "no-store"
            return response

        handle.operation = described  # type: ignore[attr-defined]
        return handle

    return decorate


@dataclass(slots=True)
class _Run:
    """One call of an operation."""

    view: View
    request: ApiRequest
    operation: Operation
    method: Callable[..., Any]
    path: dict[str, str]
    takes_body: bool

    def once(self) -> Response:
        reader = self.operation.reader
        if reader:
            reader.authorise(self.request, self.request.auth)
        variant = reader.variant(self.request) if reader else ""
        if reader is None or not reader.is_slow(self.request.data):
            return idempotent(self.request, self.act, variant=variant)
        if kept := kept_answer(self.request, variant=variant):
            return kept
        return idempotent(self.request, partial(self.act, *self._body()), variant=variant)

    def act(self, *body: Any) -> Any:
        arguments = dict(self.path)
        if self.takes_body:
            (arguments["body"],) = body or self._body()
        result = self.method(self.request.auth, **arguments)
        if not isinstance(result, FollowUp):
            return self._respond(result)
        response = self._respond(result.answer)
        if self.operation.is_idempotent:
            response.follow_up = lambda: self._respond(result.work())
            return response
        return self._respond(result.work())

    def _body(self) -> tuple[Any]:
        access: Access = self.request.auth
        if self.operation.reader:
            return (self.operation.reader.read(self.request, access),)
        assert self.operation.body is not None
        return (self.operation.body.parse(self.request.data),)

    def _respond(self, result: Any) -> Any:
        return self.view.respond(result, self.operation.status)


def _annotations(method: Callable[..., Any]) -> tuple[type[RequestBody] | None, Any, bool]:
    """The body's model, the answer's model, and whether the answer is a page of those."""
    hints = get_type_hints(method)
    body = hints.get("body")
    is_model = isinstance(body, type) and issubclass(body, RequestBody)
    for kind in _members(hints.get("return", NoneType)):
        if get_origin(kind) is FollowUp:
            (kind,) = get_args(kind)
        if get_origin(kind) is Page:
            (model,) = get_args(kind)
            return body if is_model else None, model, True
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return body if is_model else None, kind, False
    return body if is_model else None, None, False


def _members(annotation: Any) -> Sequence[Any]:
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)
