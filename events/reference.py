"""The catalogue as a page for readers: `docs/events.md`."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from events.catalogue import CATALOGUE, EventType
from events.envelopes import Envelope
from events.json_schemas import schema_of
from events.payloads.base import Payload
from events.payloads.emails import EmailData

_GROUPS = {
    "email.*": "Emails",
    "contact.*": "Contacts",
    "domain.*": "Domains",
    "suppression.*": "Suppressions",
    "message.*": "Messages of mailboxes",
    "inbox.*": "Inboxes",
    "pod.*": "Pods",
    "webhook.*": "Webhooks themselves",
}
# What most types of a group say, so that it is said once.
_SHARED: dict[str, type[Payload]] = {"email.*": EmailData}
_INTRODUCTION = """\
# Events

What webhooks tell: every type, its fields and an example. How to make an endpoint, verify a
request and answer it is in [webhooks.md](webhooks.md). This page is written from the catalogue in
the code by `make docs`; `GET /webhooks/event-types` answers the same, with a JSON Schema for each
type.

An endpoint asks for types, for groups such as `email.*`, or for `*`.

## Envelopes

Most events are in the standard envelope, with their fields under `data`:

```json
{"id": "whd_<uuid>", "type": "contact.created", "created_at": "2026-05-10T09:30:00.000Z",
 "data": {...}}
```

Events about mailboxes (`message.received`, `inbox.*`, `pod.*`) are in the mailbox envelope, with
their fields beside the envelope's own:

```json
{"event": "message.received", "event_id": "whd_<uuid>", "occurred_at": "2026-05-10T09:30:00.000Z",
 ...}
```

- **Ids.** `id`, or `event_id`, is the event's, and so is the time: both are the same in every
  attempt, at every endpoint and in a replay. Remember the ids that you acted upon, and a repetition
  does no harm. The header `webhook-id` has the same id.
- **Order.** Events may come in any order. Each holds a complete snapshot of what it is about, as it
  was then.
- **Times** are UTC with milliseconds. The times in the provider's own objects (`delivery`, `open`,
  ...) are as the provider writes them.
- **New fields.** Fields are added over time, and the provider adds some to its objects. Ignore what
  you don't know; the JSON Schemas forbid no further fields. What is listed here stays.
- **Size.** A body has at most 256 KiB. The longest texts and lists of a larger one are cut and
  `truncated: true` stands among its fields (`data.truncated` in the standard envelope): fetch the
  whole by its id. In the extreme what is nested comes out empty, and need not match the schema.

Fields marked *optional* may be left out; a field is null only where its type says so.
"""


def page() -> str:
    parts = [_INTRODUCTION, _contents()]
    for group, kinds in _by_group():
        parts.append(f"## {_GROUPS[group]}\n\n`{group}`\n")
        if group in _SHARED:
            parts.append(_shared(_SHARED[group]))
        parts += [_described(kind) for kind in kinds]
    return "\n".join(parts)


def _by_group() -> Iterator[tuple[str, Iterator[EventType]]]:
    return groupby(CATALOGUE.values(), key=lambda kind: kind.group)


def _contents() -> str:
    rows = ["| group | type | when |", "|---|---|---|"]
    for group, kinds in _by_group():
        rows += [
            f"| `{group}` | [`{kind.name}`](#{kind.name.replace('.', '')}) | {kind.meaning} |"
            for kind in kinds
        ]
    return "\n".join(rows) + "\n"


def _shared(payload: type[Payload]) -> str:
    return "\n".join(["These share the fields of the email:", "", _table(_fields(payload))])


def _described(kind: EventType) -> str:
    shared = _SHARED.get(kind.group)
    fields = _fields(kind.payload)
    also = ""
    if shared and issubclass(kind.payload, shared):
        common = set(_fields(shared))
        fields = [row for row in fields if row not in common]
        also = " Has the shared fields" + (", and:" if fields else ".")
    mailbox = " In the mailbox envelope." if kind.envelope is Envelope.MAILBOX else ""
    lines = [
        f"### {kind.name}",
        "",
        f"{kind.meaning} Emitted by `{kind.emitted_by}`.{mailbox}{also}",
        "",
        *([_table(fields)] if fields else []),
        "```json",
        kind.example_text.rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


Row = tuple[str, str, str]


def _table(rows: Iterable[Row]) -> str:
    lines = [f"| `{name}` | {type_} | {meaning} |" for name, type_, meaning in rows]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *lines, ""])


def _fields(payload: type[Payload]) -> list[Row]:
    """(name, type, meaning), the fields of objects after the objects."""
    schema = schema_of(payload, description="")
    rows = _rows(schema, schema.get("$defs", {}), "")
    return [row for row in rows if row[0] != "truncated"]


def _rows(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[Row]:
    required = schema.get("required", [])
    for name, given in schema["properties"].items():
        field = _followed(given, definitions)
        path = prefix + name
        optional = "" if name in required else ", optional"
        yield path, _type(field, definitions) + optional, given["description"]
        items = _followed(field.get("items", {}), definitions)
        if "properties" in field:
            yield from _rows(field, definitions, f"{path}.")
        elif "properties" in items:
            yield from _rows(items, definitions, f"{path}[].")


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    field = _followed(field, definitions)
    if "anyOf" in field:
        return " or ".join(_type(each, definitions) for each in field["anyOf"])
    if field["type"] == "array":
        return f"list of {_type(field['items'], definitions)}s"
    if field["type"] == "object" and "properties" not in field:
        values = field.get("additionalProperties")
        of = f" of {_type(values, definitions)}s" if isinstance(values, dict) else ""
        return f"object{of}"
    return str({"uuid": "id", "date-time": "time"}.get(field.get("format", ""), field["type"]))


def _followed(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to, else the field itself."""
    if "$ref" not in field:
        return field
    found: dict[str, Any] = definitions[field["$ref"].rpartition("/")[2]]
    return found
