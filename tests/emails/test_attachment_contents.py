"""The spellings of an attachment that clients use: Buffers, texts, names in camel case."""

import json
from base64 import b64encode, encodebytes

import pytest

from core.blobs import blobs
from emails.models import EmailAttachment

pytestmark = pytest.mark.django_db

CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nSUMMARY:Ask\r\nEND:VCALENDAR\r\n"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.BLOB_STORE = str(tmp_path)


@pytest.fixture
def attach(send):
    return lambda *items: send(attachments=list(items))


@pytest.fixture
def attached(attach):
    """`attached({...})`: the stored bytes and the type of a single attachment."""

    def read(attachment):
        answer = attach(attachment)
        assert answer.status_code == 200, answer.json()
        row = EmailAttachment.objects.get(email=answer.json()["id"])
        return blobs().read(row.blob_key), row.content_type

    return read


def problems(answer):
    assert answer.status_code == 422, answer.json()
    return answer.json()["details"]["fields"]


class TestBuffers:
    @pytest.mark.parametrize("content", [b"hi", b"", bytes(range(256)), b"\x00" * 5000])
    def test_a_buffer_of_node_is_its_bytes(self, attached, content):
        buffer = {"type": "Buffer", "data": list(content)}
        assert attached({"filename": "a.bin", "content": buffer})[0] == content

    def test_the_order_of_its_keys_is_of_no_importance(self, attached):
        buffer = json.loads('{"data": [104, 105], "type": "Buffer"}')
        assert attached({"filename": "a.txt", "content": buffer}) == (b"hi", "text/plain")

    @pytest.mark.parametrize(
        "content",
        [
            {"type": "Buffer", "data": [256]},
            {"type": "Buffer", "data": [1.5]},
            {"type": "Buffer", "data": [True]},
            {"type": "Buffer", "data": "aGk="},
            {"type": "Buffer", "data": None},
            {"type": "Buffer"},
            {"type": "Blob", "data": [104]},
            {"type": "Buffer", "data": [104], "more": 1},
            {"0": 104, "1": 105},
            {"data": [104]},
        ],
    )
    def test_nothing_else_is_a_buffer(self, attach, content):
        found = problems(attach({"filename": "a.txt", "content": content}))
        assert list(found) == ["attachments.0.content"]
        assert "byte values" in found["attachments.0.content"]


class TestCamelCase:
    def test_names_as_in_node(self, attach):
        image = {"filename": "a.png", "content": "aGk=", "contentId": "logo"}
        other = {"filename": "b.png", "content": "aGk=", "inlineContentId": "mark"}
        typed = {"filename": "a", "content": "aGk=", "contentType": "application/pdf"}
        assert attach(image, other, typed).status_code == 200
        rows = EmailAttachment.objects.order_by("position")
        assert [(row.content_type, row.content_id) for row in rows] == [
            ("image/png", "logo"),
            ("image/png", "mark"),
            ("application/pdf", ""),
        ]

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ("content_type", "contentType"),
            ("content_id", "contentId"),
            ("inline_content_id", "inlineContentId"),
        ],
    )
    def test_both_spellings_at_once_are_refused(self, attach, one, two):
        both = {"filename": "a.png", "content": "aGk=", one: "image/png", two: "image/gif"}
        assert problems(attach(both)) == {
            f"attachments.0.{two}": f"give `{one}` or `{two}`, not both"
        }

    def test_a_wrong_value_is_named_as_the_caller_spells_it(self, attach):
        wrong = {"filename": "a", "content": "aGk=", "contentType": "pdf"}
        assert list(problems(attach(wrong))) == ["attachments.0.contentType"]

    def test_two_content_ids_must_agree_however_they_are_spelled(self, attach):
        image = {"filename": "a.png", "content": "aGk=", "contentId": "a"}
        assert attach(image | {"inline_content_id": "a"}).status_code == 200
        assert problems(attach(image | {"inlineContentId": "b"}))

    def test_other_names_in_camel_case_are_unknown(self, attach, send):
        wrong = {"fileName": "a", "content": "aGk=", "filename": "a"}
        assert list(problems(attach(wrong))) == ["attachments.0.fileName"]
        assert list(problems(send(Subject="x"))) == ["Subject"]

    def test_an_email_may_say_reply_to_and_scheduled_at_in_camel_case(self, api, send, domain):
        answer = send(replyTo="c@example.net", scheduledAt="in 1 hour", reply_to=None)
        shown = api.get(f"/emails/{answer.json()['id']}").json()
        assert (shown["reply_to"], shown["status"]) == (["c@example.net"], "scheduled")
        path = f"/emails/{shown['id']}"
        assert api.patch(path, {"scheduledAt": "in 2 hours"}).status_code == 200
        assert list(problems(send(replyTo="c"))) == ["replyTo.0"]
        assert list(problems(send(replyTo="c@example.net", reply_to="d@example.net"))) == [
            "replyTo"
        ]
        assert send(replyTo=None, scheduledAt=None).status_code == 200


class TestTexts:
    @pytest.mark.parametrize(
        ("attachment", "content", "media_type"),
        [
            ({"content_type": "text/calendar"}, CALENDAR, "text/calendar"),
            ({"content_type": "text/calendar; method=REQUEST"}, CALENDAR, None),
            ({"content_type": "TEXT/Plain"}, "Hello, world", None),
            ({"filename": "a.ics"}, CALENDAR, "text/calendar"),
            ({"filename": "a.csv"}, "a,b\n1,2\n", "text/csv"),
            ({"filename": "a.html"}, "<p>Hi</p>", "text/html"),
            ({"content_type": "text/plain"}, "aGk", None),  # RFC 4648 section 3.2: padded
            ({"content_type": "text/plain"}, "\x00 binary", None),
            ({"content_type": "text/plain"}, "Grüße", "text/plain; charset=utf-8"),
            ({"content_type": "text/plain; format=flowed"}, "é ", None),
        ],
    )
    def test_what_is_not_base64_is_text(self, attached, attachment, content, media_type):
        stored, found = attached({"filename": "a"} | attachment | {"content": content})
        assert stored == content.encode()
        given = attachment.get("content_type", "")
        charset = "" if content.isascii() else "; charset=utf-8"
        assert found == (media_type or given + charset)

    @pytest.mark.parametrize(
        ("charset", "expected"),
        [("iso-8859-1", b"Gr\xfc\xdfe!"), ('"windows-1252"', b"Gr\xfc\xdfe!"), ("utf-8", None)],
    )
    def test_a_text_is_written_in_the_charset_of_its_type(self, attached, charset, expected):
        content_type = f"text/plain; charset={charset}"
        stored, found = attached(
            {"filename": "a", "content": "Grüße!", "content_type": content_type}
        )
        assert stored == (expected or "Grüße!".encode())
        assert found == content_type

    @pytest.mark.parametrize("charset", ["us-ascii", "iso-8859-1", "x-unknown", "rot13", "hex"])
    def test_a_charset_that_lacks_its_characters_is_refused(self, attach, charset):
        item = {"filename": "a", "content": "5 €!", "content_type": f"text/plain;charset={charset}"}
        found = problems(attach(item))
        assert list(found) == ["attachments.0.content"]
        assert "charset" in found["attachments.0.content"]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b64encode(CALENDAR.encode()).decode(), CALENDAR.encode()),
            (encodebytes(b"x" * 200).decode(), b"x" * 200),
            ("Hello123", b"\x1d\xe9e\xa3]\xb7"),  # could be both: then it is base64
            ("", b""),
        ],
    )
    def test_base64_is_base64_for_texts_too(self, attached, content, expected):
        item = {"filename": "a.txt", "content": content, "content_type": "text/plain"}
        assert attached(item) == (expected, "text/plain")

    @pytest.mark.parametrize(
        "kind", ["application/pdf", "application/json", "image/svg+xml", "image/png", "x/text"]
    )
    def test_for_other_types_it_must_be_base64(self, attach, kind):
        found = problems(attach({"filename": "a", "content": "<b>!", "content_type": kind}))
        assert "base64" in found["attachments.0.content"]

    def test_without_a_type_the_file_name_decides(self, attach):
        found = problems(attach({"filename": "a.pdf", "content": CALENDAR}))
        assert "only `text/...`" in found["attachments.0.content"]

    def test_a_long_type_leaves_room_for_the_charset(self, attached, attach):
        kind = "text/plain; x=" + "y" * 300
        longest = kind[: 255 - len("; charset=utf-8")]
        item = {"filename": "a", "content": "ü"}
        assert len(attached(item | {"content_type": longest})[1]) == 255
        assert problems(attach(item | {"content_type": kind[: len(longest) + 1]}))

    def test_a_text_counts_by_its_bytes(self, send, monkeypatch):
        from emails.content import outgoing_message

        monkeypatch.setattr(outgoing_message, "MAX_MESSAGE", 100_000)
        item = {"filename": "a.txt", "content": "ü" * 40_000}
        assert list(problems(send(attachments=[item]))) == ["attachments"]
