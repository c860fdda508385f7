"""`POST /emails`: every field and its errors."""

from time import process_time
from uuid import UUID

import pytest

from core.db import bulk
from emails.models import Email, EmailRecipient
from tests.clients import rejected_fields

pytestmark = pytest.mark.django_db


def stored(answer):
    assert answer.status_code == 200, answer.json()
    return Email.objects.get(pk=answer.json()["id"])


def test_an_email_is_stored_as_it_was_written(send, workspace, api_key, domain):
    answer = send(
        sender='"Lovelace, Ada" <ada@example.com>',
        to=["bob@example.net", "Carla Cruz <carla@example.net>"],
        cc="dan@example.net",
        bcc=["eve@example.net"],
        reply_to=["replies@elsewhere.example"],
        subject="Grüße",
        html="<p>Hello</p>",
        text="Hello",
        headers={"X-Order": "7"},
        tags=[{"name": "campaign", "value": "spring"}],
    )

    assert list(answer.json()) == ["id"]
    assert UUID(answer.json()["id"]).version == 7
    email = stored(answer)
    assert (email.workspace, email.api_key, email.domain_id) == (workspace, api_key[0], domain.pk)
    assert (email.status, email.region, email.configuration_set) == (
        *("queued", "us-east-1"),
        "opensend",
    )
    assert email.next_attempt_at is not None
    assert email.sender == '"Lovelace, Ada" <ada@example.com>'
    assert email.to == ["bob@example.net", "Carla Cruz <carla@example.net>"]
    assert (email.cc, email.bcc) == (["dan@example.net"], ["eve@example.net"])
    assert email.reply_to == ["replies@elsewhere.example"]
    assert (email.subject, email.html, email.text) == ("Grüße", "<p>Hello</p>", "Hello")
    assert (email.headers, email.tags) == ({"X-Order": "7"}, {"campaign": "spring"})
    recipients = email.recipients.order_by("pk").values_list("kind", "address", "status")
    assert list(recipients) == [
        ("to", "bob@example.net", "queued"),
        ("to", "carla@example.net", "queued"),
        ("cc", "dan@example.net", "queued"),
        ("bcc", "eve@example.net", "queued"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bob@example.net", "bob@example.net"),
        (" Bob@EXAMPLE.net ", "Bob@example.net"),
        ("<bob@example.net>", "bob@example.net"),
        ("Bob Brown <bob@example.net>", "Bob Brown <bob@example.net>"),
        ('"Brown, Bob" <bob@example.net>', '"Brown, Bob" <bob@example.net>'),
        ("Brown, Bob <bob@example.net>", '"Brown, Bob" <bob@example.net>'),
        ('"Bob \\"B\\" Brown" <bob@example.net>', '"Bob \\"B\\" Brown" <bob@example.net>'),
        ("Jürgen Müller <bob@example.net>", "Jürgen Müller <bob@example.net>"),
        ("Müller, Jürgen <bob@example.net>", '"Müller, Jürgen" <bob@example.net>'),
        ("=?utf-8?q?J=C3=BCrgen?= <bob@example.net>", "Jürgen <bob@example.net>"),
        ("=?ISO-8859-1?B?SvxyZ2Vu?= M <bob@example.net>", "Jürgen M <bob@example.net>"),
        ("bob@BÜCHER.example", "bob@xn--bcher-kva.example"),
        ("Bob <bob@例え.テスト>", "Bob <bob@xn--r8jz45g.xn--zckzah>"),
        ("o'brien+tag=x@example.net", "o'brien+tag=x@example.net"),
        ('"" <bob@example.net>', "bob@example.net"),
        ('"ann@b.example, Bob" <bob@example.net>', '"ann@b.example, Bob" <bob@example.net>'),
        ("Bob, a@b.example <bob@example.net>", '"Bob, a@b.example" <bob@example.net>'),
        ("Sales @ Acme, Inc. <bob@example.net>", '"Sales @ Acme, Inc." <bob@example.net>'),
    ],
)
def test_all_forms_of_mailboxes_are_parsed(value, expected, send):
    assert stored(send(to=value)).to == [expected]


@pytest.mark.parametrize(
    "value",
    [
        *("", "bob", "bob@", "@example.net", "bob@localhost", "bob brown@example.net"),
        *("bob@example..net", "bob@-example.net", "bob@exa mple.net", "a@b@example.net"),
        *(".bob@example.net", "bob.@example.net", "b..b@example.net", "bob@example.net,"),
        *("bob@example.net, eve@example.net", "Bob <bob@example.net", "Bob bob@example.net>"),
        *("bøb@example.net", '"b b"@example.net', "bob@[127.0.0.1]", f"{'b' * 65}@example.net"),
        *(f"bob@{'e' * 64}.net", "bob@example.net\r\nBcc: eve@example.net", "Bob\n<b@example.net>"),
        *("Bob\x00 <bob@example.net>", "B\u2028ob <bob@example.net>", "bob@xn--a.example\x7f"),
        *("=?utf-8?q?a=0D=0ABcc:_x?= <bob@example.net>", "=?utf-8?b?a?= <bob@example.net>"),
        *("=?no-such?q?a?= <bob@example.net>", f"{'B' * 321} <bob@example.net>"),
        *("Ann <ann@example.net>, Bob <bob@example.net>", "a@b.example, Bob <bob@example.net>"),
        *("Ann <ann@example.net>; Bob <bob@example.net>", "<a@b.example>,<bob@example.net>"),
        *('"Lee, Ann" <ann@example.net> , Bob <bob@example.net>', "a@b ;c@d <bob@example.net>"),
        '"""' + '"' * 316 + f'" <{"b" * 64}@{".".join(["e" * 60] * 4)}>',
    ],
)
def test_an_invalid_mailbox_is_named_by_index(value, send):
    assert list(rejected_fields(send(to=["eve@example.net", value]))) == ["to.1"]
    assert not Email.objects.exists()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sender": "nobody"}, "from"),
        ({"sender": ["ada@example.com"]}, "from"),
        ({"to": []}, "to"),
        ({"to": 7}, "to"),
        ({"to": {"email": "bob@example.net"}}, "to"),
        ({"to": [7]}, "to.0"),
        ({"cc": ["bob@example.net", "nobody"]}, "cc.1"),
        ({"bcc": "nobody"}, "bcc.0"),
        ({"reply_to": ["nobody"]}, "reply_to.0"),
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 999}, "subject"),
        ({"subject": 7}, "subject"),
        ({"subject": "Hello\r\nBcc: eve@example.net"}, "subject"),
        ({"subject": "Hello\n"}, "subject"),
        ({"subject": "Hello\u2028there"}, "subject"),
        ({"subject": "Hello\x0bthere"}, "subject"),
        ({"subject": "Hello\x85there"}, "subject"),
        ({"subject": "Hello\x00"}, "subject"),
        ({"html": 7}, "html"),
        ({"text": "Hello\x00"}, "text"),
        ({"text": ""}, "html"),
        ({"text": None}, "html"),
        ({"text": None, "html": ""}, "html"),
        ({"headers": ["X-A: b"]}, "headers"),
        ({"headers": {"X-A": [7]}}, "headers.X-A"),
        ({"headers": {f"X-{number}": "" for number in range(51)}}, "headers"),
        ({"tags": {"a": "b"}}, "tags"),
        ({"tags": [{"name": "a", "value": "b c"}]}, "tags.0.value"),
        ({"tags": [{"name": "ä", "value": "b"}]}, "tags.0.name"),
        ({"tags": [{"name": "", "value": "b"}]}, "tags.0.name"),
        ({"tags": [{"name": "a" * 257, "value": "b"}]}, "tags.0.name"),
        ({"tags": [{"name": "a"}]}, "tags.0.value"),
        ({"tags": [{"name": "a", "value": "b", "more": "c"}]}, "tags.0.more"),
        ({"tags": [{"name": "OpenSend_email_id", "value": "b"}]}, "tags.0.name"),
        ({"tags": [{"name": f"t{number}", "value": "x"} for number in range(76)]}, "tags"),
        ({"tags": [{"name": "a", "value": "b"}, {"name": "a", "value": "c"}]}, "tags.1.name"),
        ({"reply_to": [f"r{number}@example.net" for number in range(51)]}, "reply_to"),
        ({"headers": {"list": [5]}}, "headers.list"),
        ({"str": "Hello"}, "str"),
        ({"subjct": "Hello"}, "subjct"),
        ({"sender_name": "Ada"}, "sender_name"),
    ],
)
def test_an_invalid_field_is_named_by_its_path(changes, path, send):
    answer = send(**changes)

    assert list(rejected_fields(answer)) == [path]
    assert answer.json()["message"].startswith(f"`{path}`: ")
    assert not Email.objects.exists()


@pytest.mark.parametrize("field", ["sender", "to", "subject"])
def test_a_missing_field_has_its_own_error_name(field, send):
    answer = send(**{field: None})

    assert answer.json()["name"] == "missing_required_field"
    assert rejected_fields(answer) == {"from" if field == "sender" else field: "is required"}


def test_duplicate_addresses_are_removed(send, api):
    sent = send(
        to=["Bob <bob@example.net>", "BOB@example.net"],
        cc=["bob@example.net", "carla@example.net"],
        bcc="carla@example.net",
        reply_to=["help@example.com", "Help <help@example.com>"],
    )

    shown = api.get(f"/emails/{sent.json()['id']}").json()
    assert (shown["to"], shown["cc"], shown["bcc"]) == (
        ["Bob <bob@example.net>"],
        ["carla@example.net"],
        [],
    )
    assert shown["reply_to"] == ["help@example.com"]


def test_all_invalid_fields_are_named_at_once(send):
    answer = send(sender="nobody", to=["nobody"], subject="")

    assert set(rejected_fields(answer)) == {"from", "to.0", "subject"}


@pytest.mark.parametrize("body", [[], "Hello", 7, None])
def test_a_body_that_is_no_object_is_rejected(body, api, domain):
    answer = api.post("/emails", body)

    assert answer.status_code in (400, 422)
    assert not Email.objects.exists()


@pytest.mark.parametrize("value", ["something", [], {}, "", False])
@pytest.mark.parametrize("name", ["template", "topic_id"])
def test_unsupported_fields_are_rejected(name, value, send):
    answer = send(**{name: value})

    assert (answer.status_code, answer.json()["name"]) == (422, "unsupported_field")
    assert list(rejected_fields(answer)) == [name]


def test_null_means_absent(api, domain, message):
    absent = dict.fromkeys([*("cc", "html", "tags", "scheduled_at"), *("template", "topic_id")])

    assert stored(api.post("/emails", message | absent | {"attachments": []})).cc == []


def test_an_unknown_field_is_rejected_even_if_it_is_null(api, domain, message):
    answer = api.post("/emails", message | {"reply-to": None, "sender": None})

    assert set(rejected_fields(answer)) == {"reply-to", "sender"}


def test_a_long_mailbox_is_parsed_quickly(send):
    started = process_time()

    assert list(rejected_fields(send(to=" " * 1999))) == ["to.0"]
    assert process_time() - started < 1


def test_a_mailbox_has_up_to_2000_characters(send):
    assert rejected_fields(send(to="b" * 2001))["to.0"] == "must have at most 2,000 characters"


def test_a_long_address_is_truncated_in_the_error(send):
    problem = rejected_fields(send(to="b" * 1999))["to.0"]

    assert problem.startswith(f"`{'b' * 100}...` is not an email address")


@pytest.mark.parametrize(
    "name",
    [
        *("From", "to", "CC", "bcc", "Sender", "Subject", "Date", "message-id", "Reply-To"),
        *("MIME-Version", "Content-Type", "content-x", "DKIM-Signature", "Return-Path"),
        *("Received", "X-OpenSend-Email-ID", "x-opensend-anything"),
    ],
)
def test_reserved_headers_are_rejected(name, send):
    assert "set by the platform" in rejected_fields(send(headers={name: "x"}))[f"headers.{name}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("", "x"), ("X A", "x"), ("X:A", "x"), ("Ä", "x"), ("X\r\nBcc", "x"), ("X" * 201, "x")),
        *(("X-A", "x\r\nBcc: eve@example.net"), ("X-A", "x\n"), ("X-A", "x\u2029")),
        *(("X-A", "x\x1b"), ("X-A", "x" * 4001)),
    ],
)
def test_invalid_header_names_and_values_are_rejected(name, value, send):
    shown = f"{name[:100]}..." if len(name) > 100 else name or '""'

    assert list(rejected_fields(send(headers={"X-Good": "x", name: value}))) == [f"headers.{shown}"]


def test_every_invalid_header_is_named(send):
    fields = rejected_fields(send(headers={"To": "x", "X-A": "x", "X B": "x"}))

    assert set(fields) == {"headers.To", "headers.X B"}


def test_common_headers_are_accepted(send):
    headers = {
        "List-Unsubscribe": "<https://example.com/leave>",
        "In-Reply-To": "<x@example.net>",
        "References": "<x@example.net> <y@example.net>",
        "X-Entity-Ref-ID": "tab\tand ünïcode",
    }

    assert stored(send(headers=headers)).headers == headers


def test_a_subject_has_up_to_998_characters(send):
    assert stored(send(subject="ü" * 998)).subject == "ü" * 998


def test_an_email_has_up_to_75_tags(send):
    tags = [{"name": f"t{number}", "value": "x" * 256} for number in range(75)]

    assert len(stored(send(tags=tags)).tags) == 75


def test_an_email_has_up_to_50_recipients_in_total(send):
    def some(count, domain):
        return [f"r{number}@{domain}" for number in range(count)]

    most = {"to": some(20, "a.example"), "cc": some(20, "b.example"), "bcc": some(10, "c.example")}
    assert stored(send(**most)).recipients.count() == 50
    assert "50" in rejected_fields(send(**most | {"bcc": some(11, "c.example")}))["to"]


@pytest.mark.parametrize("value", ["bob@example.net", "nobody"])
@pytest.mark.parametrize(("field", "most"), [("to", 100), ("bcc", 100), ("reply_to", 50)])
def test_a_list_that_is_too_long_is_not_parsed(field, most, value, send):
    fields = rejected_fields(send(**{field: [value] * 10_000}))

    assert fields == {field: f"must have at most {most} items"}


def test_a_recipient_is_unique_per_email(send):
    email = stored(
        send(
            to=["bob@example.net", "Bob <BOB@example.net>"],
            cc=["bob@EXAMPLE.net", "carla@example.net"],
            bcc=["Carla@example.net"] * 60,
        )
    )

    recipients = email.recipients.order_by("pk").values_list("kind", "address")
    assert list(recipients) == [("to", "bob@example.net"), ("cc", "carla@example.net")]


@pytest.mark.parametrize("change", [{"status": "pending"}, {"sending": False}])
def test_a_domain_must_be_ready_to_send(change, send, domain):
    type(domain).objects.update(**change)

    answer = send()

    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")
    expected = "POST /domains/" if "status" in change else "switched off"
    assert expected in answer.json()["message"]
    assert not Email.objects.exists()


def test_the_error_of_an_unknown_domain_says_how_to_add_it(send):
    answer = send(sender="ada@example.org")

    assert (answer.status_code, answer.json()["name"]) == (403, "domain_not_verified")
    assert "POST /domains" in answer.json()["message"]


def test_a_domain_of_another_workspace_is_unknown(stranger, domain, message):
    assert stranger.post("/emails", message).json()["name"] == "domain_not_verified"


def test_an_internationalised_sender_domain_is_found(send, domain):
    type(domain).objects.update(name="xn--bcher-kva.example")

    assert stored(send(sender="Ada <ada@Bücher.example>")).sender == (
        "Ada <ada@xn--bcher-kva.example>"
    )


def test_a_key_for_another_domain_may_not_send(send, api_key, domain, workspace):
    from domains.models import Domain

    other = Domain.objects.create(
        workspace=workspace, name="other.example", region="us-east-1", next_attempt_at=None
    )
    type(api_key[0]).objects.update(permission="sending_access", domain_id=other.pk)

    assert send().json()["name"] == "api_key_domain_restricted"


def test_an_email_reads_back_as_it_was_sent(api, send, stranger):
    email_id = send(cc="Carla <carla@example.net>", tags=[{"name": "a", "value": "b"}]).json()["id"]

    shown = api.get(f"/emails/{email_id}").json()

    assert shown["from"] == "Ada <ada@example.com>"
    assert (shown["to"], shown["cc"]) == (["bob@example.net"], ["Carla <carla@example.net>"])
    assert (shown["bcc"], shown["reply_to"], shown["html"]) == ([], [], None)
    assert (shown["status"], shown["last_event"]) == ("queued", "queued")
    assert shown["tags"] == [{"name": "a", "value": "b"}]
    assert shown["recipients"] == [
        {
            "address": address,
            "kind": kind,
            "status": "queued",
            "status_at": None,
            "detail": None,
        }
        for address, kind in (("bob@example.net", "to"), ("carla@example.net", "cc"))
    ]
    assert stranger.get(f"/emails/{email_id}").status_code == 404
    assert stranger.get(f"/emails/{email_id}/events").status_code == 404
    assert stranger.get("/emails").json()["data"] == []
    assert [each["id"] for each in api.get("/emails").json()["data"]] == [email_id]


def test_the_number_of_statements_does_not_grow_with_the_recipients(
    send, django_assert_max_num_queries
):
    def send_to(count):
        send(to=[f"r{number}@example.net" for number in range(count)])

    send_to(1)
    with django_assert_max_num_queries(40) as few:
        send_to(1)
    with django_assert_max_num_queries(len(few) + 1) as more:  # emails and recipients apart
        send_to(bulk.COPY_ABOVE)
    with django_assert_max_num_queries(len(more)):
        send_to(50)
    assert EmailRecipient.objects.count() == 52 + bulk.COPY_ABOVE
