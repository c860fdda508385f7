"""docs/compatibility.md, from what the clients got."""

from importlib.metadata import version

from tests.conformance.client_methods import ASYNC

PAGE = """\
# Compatibility with the clients

<!-- Written by `make compatibility` from what each method got; the tests compare it. -->

The clients `resend` and `opensend` from PyPI work with this API as they are. Point them at it:

```python
resend.api_url, resend.api_key = "https://mail.example.com", "os_..."
opensend.base_url, opensend.api_key = "https://mail.example.com", "os_..."
```

A method below works, or raises the client's own error. Notes say where an answer is not what the
client's types promise. Django projects can send through `django-anymail`: [django.md](django.md).

## resend {resend}

{resend_table}

What else it has (broadcasts, templates, topics, segments, audiences, automations, logs, ...) has no
counterpart here. Those methods raise a `ResendError` with `404 not_found`.

### Errors

| what was done | error | raised |
|---|---|---|
{error_rows}

Every error has `code`, `error_type`, `message` and, in `headers`, the `x-request-id` to quote.
Every answer has `http_headers`, with `ratelimit-limit` (requests a second), `ratelimit-remaining`
and `ratelimit-reset` among them; a `429` has `retry-after`.

## opensend {opensend}

{opensend_table}
"""


def rendered(resend_verdicts, opensend_verdicts, raised):
    return PAGE.format(
        resend=version("resend"),
        opensend=version("opensend"),
        resend_table=_resend_table(resend_verdicts),
        opensend_table=_opensend_table(opensend_verdicts),
        error_rows="\n".join(f"| {what} | `{got}` | `{kind}` |" for what, got, kind in raised),
    )


def _resend_table(verdicts):
    rows = ["| method | answer | `_async` | note |", "|---|---|---|---|"]
    for name, verdict in sorted(verdicts[""].items()):
        awaited = verdicts[ASYNC].get(name)
        rows.append(
            f"| `{name}` | {verdict.text} | {awaited.text if awaited else ''} | {verdict.note} |"
        )
    return "\n".join(rows)


def _opensend_table(verdicts):
    rows = ["| method | answer | note |", "|---|---|---|"]
    rows += [f"| `{name}` | {each.text} | {each.note} |" for name, each in sorted(verdicts.items())]
    return "\n".join(rows)
