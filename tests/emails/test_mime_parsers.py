"""Python's parser and two npm parsers read back what was put into a message."""

import json
from base64 import b64decode, b64encode
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emails.content.mime import Part, build
from emails.models import EmailAttachment
from tests.factories import unsaved_email
from tests.node_scripts import running

LIBRARIES = ("mailparser", "postal-mime")

NAMES = [
    "a.pdf",
    "two words.pdf",
    'quo"ted; filename=x.pdf',
    "it's 100% (é).pdf",
    "Grüße aus Köln.pdf",
    "報告書" * 20 + ".pdf",
    "a" * 251 + ".pdf",
    "\N{GRINNING FACE}" * 60,
]


@pytest.fixture(scope="module")
def node():
    with running("read_mail.mjs") as process:
        yield process


@pytest.fixture
def readings(node):
    """`readings(raw)`: what each parser reads in a message, by the name of the parser."""

    def read(raw):
        print(b64encode(raw).decode(), file=node.stdin, flush=True)
        by_library = json.loads(node.stdout.readline())
        assert tuple(by_library) == LIBRARIES
        for each in by_library.values():
            for file in each["files"]:
                file["content"] = b64decode(file["content"])
        return by_library | {"python": by_python(raw)}

    return read


def by_python(raw):
    message = message_from_bytes(raw, policy=default)
    assert not [part.defects for part in message.walk() if part.defects]
    bodies = {kind: message.get_body(preferencelist=(kind,)) for kind in ("plain", "html")}
    texts = {kind: body.get_content() if body else "" for kind, body in bodies.items()}
    return {
        "subject": message["Subject"],
        "from": boxes(message["From"]),
        "to": boxes(message["To"]),
        "text": texts["plain"],
        "html": texts["html"],
        "files": [
            {
                "name": part.get_filename(),
                "type": part.get_content_type(),
                "disposition": part.get_content_disposition(),
                "id": (part["Content-ID"] or "").strip("<>"),
                "content": part.get_payload(decode=True),
            }
            for part in message.walk()
            if part.get_content_disposition()
        ],
    }


def boxes(header):
    return [[box.display_name, box.addr_spec] for box in header.addresses]


def part(name="a.pdf", content=b"%PDF \x00\xff", **changes):
    row = EmailAttachment(filename=name, content_type="application/pdf", size=len(content))
    for field, value in changes.items():
        setattr(row, field, value)
    return Part(row, content)


def file_of(part):
    return {
        "name": part.row.filename,
        "type": part.row.content_type.partition(";")[0],
        "disposition": "inline" if part.row.content_id else "attachment",
        "id": part.row.content_id,
        "content": part.content,
    }


def expected_reading(mail, *parts, **changes):
    """What every parser should read, apart from the line endings of texts."""
    reading = {
        "subject": mail.subject,
        "from": [["Ada", "ada@example.com"]],
        "to": [["", "bob@example.net"]],
        "text": mail.text,
        "html": mail.html,
        "files": [file_of(each) for each in parts],
    }
    return reading | changes


def check(readings, mail, *parts, **changes):
    for library, reading in readings(build(mail, parts)).items():
        for kind in ("text", "html"):
            reading[kind] = reading[kind].replace("\r\n", "\n").rstrip("\n")
        assert reading == expected_reading(mail, *parts, **changes), library


LOGO = {"name": "logo.png", "content": b"png", "content_type": "image/png", "content_id": "l@x"}


@pytest.mark.parametrize("name", NAMES)
def test_file_names(readings, name):
    check(readings, unsaved_email(), part(name))


@pytest.mark.parametrize(
    "mail",
    [
        {"text": "text"},
        {"html": '<img src="cid:l@x">', "text": "text"},
        {"html": "<p>Grüße</p>", "text": "Grüße\nund so weiter"},
    ],
    ids=["text", "html and text", "not ASCII"],
)
@pytest.mark.parametrize(
    "parts",
    [[], [part()], [part(**LOGO)], [part(**LOGO), part(), part("b.bin", b"")]],
    ids=["nothing", "a file", "an inline file", "both"],
)
def test_every_structure(readings, mail, parts):
    check(readings, unsaved_email(**mail), *parts)


def tree(message):
    below = message.get_payload() if message.is_multipart() else []
    return [message.get_content_type().rpartition("/")[2], *map(tree, below)]


def test_inline_files_belong_to_the_html():
    mail = unsaved_email(html="<p>", text="text")
    raw = build(mail, [part(**LOGO), part()])
    html = ["related", ["html"], ["png"]]
    assert tree(message_from_bytes(raw)) == ["mixed", ["alternative", ["plain"], html], ["pdf"]]
    assert tree(message_from_bytes(build(mail, [part(**LOGO)]))) == ["alternative", ["plain"], html]


@pytest.mark.parametrize(
    "content", [b"", b"a", b"a" * 57, b"a" * 58, bytes(range(256)) * 4000, b"\r\n.\r\n--a\r\n"]
)
def test_every_byte_of_a_file(readings, content):
    check(readings, unsaved_email(), part(content=content))


def test_lines_of_any_length(readings):
    check(readings, unsaved_email(text="long " * 1000, html="<p>" + "ü" * 3000 + "</p>"), part())


def test_subject_and_names_that_are_not_ascii(readings):
    mail = unsaved_email(
        sender="Zoë Müller <zoe@example.com>",
        to=['"Lovelace, Ada" <ada@example.net>', "\N{GRINNING FACE} <bob@example.net>"],
        subject="Grüße \N{GRINNING FACE} " + "und so weiter " * 20 + "Ende",
    )
    check(
        readings,
        mail,
        part(),
        **{
            "from": [["Zoë Müller", "zoe@example.com"]],
            "to": [
                ["Lovelace, Ada", "ada@example.net"],
                ["\N{GRINNING FACE}", "bob@example.net"],
            ],
        },
    )


def test_a_type_with_parameters(readings):
    invitation = {"content_type": "text/calendar; method=REQUEST; charset=utf-8"}
    for library, reading in readings(
        build(unsaved_email(), [part("a.ics", b"BEGIN:", **invitation)])
    ).items():
        assert reading["files"][0]["type"] == "text/calendar", library


@settings(deadline=None)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\"),
        min_size=1,
        max_size=255,
    ).filter(lambda name: name == name.strip()),
    st.binary(max_size=300),
)
@example("a%20b", b"")
@example("''", b"")
@example("a\u2028b", b"")
def test_python_reads_every_name_and_every_byte(name, content):
    raw = build(
        unsaved_email(html="<p>"), [part(name, content), part(name, content, content_id="a")]
    )

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    files = by_python(raw)["files"]
    assert [(each["name"], each["content"]) for each in files] == [(name, content)] * 2
