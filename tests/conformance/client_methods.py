"""Discovers the methods of a client by introspection, and records what each of them returned."""

import asyncio
import importlib
import inspect
import pkgutil
import typing
from dataclasses import dataclass
from functools import cache

import resend
from pydantic import TypeAdapter, ValidationError

# The packages of `resend` that this product implements, and the classes that lead to them.
FAMILIES = ["api_keys", "contacts", "domains", "emails", "suppressions", "webhooks"]
ROOTS = ["ApiKeys", "Batch", "Contacts", "Domains", "Emails", "Suppressions", "Webhooks"]
ASYNC = "_async"


def resend_methods():
    """{"Emails.Attachments.get": the method, ...} as users write them, including the async ones."""
    return dict(public_methods({name: getattr(resend, name) for name in ROOTS}))


def resend_functions():
    """Every function behind a public method of a class in those packages."""
    for family in FAMILIES:
        package = importlib.import_module(f"resend.{family}")
        for found in pkgutil.walk_packages(package.__path__, f"resend.{family}."):
            module = importlib.import_module(found.name)
            for _, kind in inspect.getmembers(module, inspect.isclass):
                yield from (each.__func__ for _, each in _own(kind) if inspect.ismethod(each))


def opensend_methods(module, *, api_key, base_url):
    """The same for the client `opensend`: its two classes and its module-level functions."""
    for name in ("OpenSend", "Resend"):
        emails = getattr(module, name)(api_key, base_url=base_url).emails
        for method in _public_functions(type(emails)):
            yield f"{name}(...).emails.{method}", getattr(emails, method)
    for method in _public_functions(module.Emails):
        yield f"Emails.{method}", getattr(module.Emails, method)


def public_methods(named):
    """(name, method) of every callable in these {name: class}, recursively."""
    for name, value in named.items():
        if inspect.isclass(value):
            children = {f"{name}.{child}": member for child, member in _own(value)}
            yield from public_methods(children)
        elif callable(value):
            yield name, value


def _own(kind):
    """The public members that a class of the client defines; none for a data type."""
    if not kind.__module__.startswith("resend") or issubclass(kind, dict):
        return
    for name, value in inspect.getmembers(kind):
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("resend"):
            yield name, value


def _public_functions(kind):
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"]


@dataclass(frozen=True)
class Verdict:
    """`text` is "works", or the status and name of the error; `note` explains it."""

    text: str
    note: str = ""


class Calls:
    """Calls methods by name and records a verdict for each.

    `suffix` selects the async methods. `typed` compares responses with the client's own types.
    """

    def __init__(self, methods, *, error, suffix="", typed=True):
        self.verdicts = {}
        self._methods = methods
        self._error = error
        self._suffix = suffix
        self._typed = typed

    def works(self, name, *args, **named):
        """Call the method and return its result."""
        answer = self._call(name, *args, **named)
        note = _differences(self._methods[name], answer) if self._typed else ""
        self.verdicts[name] = Verdict("works", note)
        return answer

    def fails(self, expected, name, *args, **named):
        """Call the method; AssertionError unless the client raises the expected `404 not_found`."""
        try:
            answer = self._call(name, *args, **named)
        except self._error as error:
            got, message = f"{error.code} {error.error_type}", str(error)
        else:
            raise AssertionError(f"{name} did not fail: {answer}")
        assert got == expected, f"{name}: {got}, not {expected}: {message}"
        self.verdicts[name] = Verdict(f"`{got}`", message)

    def _call(self, name, *args, **named):
        method = self._methods.get(name + self._suffix) or self._methods[name]
        result = method(*args, **named)
        return asyncio.run(result) if inspect.iscoroutine(result) else result


def _differences(method, answer):
    """Describe where the response differs from the client's own type of it."""
    try:
        _return_type(method).validate_python(answer)
    except ValidationError as error:
        return "; ".join(sorted({_describe(each) for each in error.errors()}))
    return ""


def _describe(problem):
    place = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
    if problem["type"] == "missing":
        return f"no `{place}`"
    return f"`{place}` can be null" if problem["input"] is None else f"`{place}` differs"


@cache
def _return_type(method):
    kind = getattr(method, "__self__", object)
    names = {each.__name__: each for each in kind.__mro__} | dict(vars(kind))
    return TypeAdapter(typing.get_type_hints(method, localns=names)["return"])
