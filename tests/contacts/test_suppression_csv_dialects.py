"""Importing suppression files as other programs and email services write them."""

import csv
import io
import json
import tracemalloc
from types import SimpleNamespace

import pytest

from contacts.csv_files import records
from contacts.models import Suppression
from contacts.suppression_csv import import_suppressions

pytestmark = pytest.mark.django_db


@pytest.fixture
def read(api):
    """`read(text or bytes)`: (the report or the problem with the file, origins by address)."""

    def read(content):
        raw = content if isinstance(content, bytes) else content.encode()
        answer = api.generic("POST", "/suppressions/import", raw, content_type="text/csv")
        rows = dict(Suppression.objects.values_list("email", "origin"))
        if answer.status_code == 422:
            return answer.json()["details"]["fields"]["file"], rows
        return json.loads(b"".join(answer.streaming_content)), rows

    return read


# --- Quotes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'email,note\na@x.org,"stop;\nvictim@y.org\nfwd"\nb@x.org,ok\n',
        'email,note\r\na@x.org,"stop;\r\nvictim@y.org,me\r\nfwd"\r\nb@x.org,ok\r\n',
        'email,note\ra@x.org,"stop;\rvictim@y.org\rfwd"\rb@x.org,ok',
        'email,note\na@x.org, "stop;\nvictim@y.org,me\nfwd"\nb@x.org,ok\n',
        'email,note\na@x.org,"she said ""stop"",\nvictim@y.org,""me""\n"\nb@x.org,ok\n',
        'note,email\n"\n\nvictim@y.org\n,victim@y.org",a@x.org\nok,b@x.org\n',
        '"a\nnote";"E-Mail"\n"victim@y.org;\nvictim@y.org";a@x.org\nok;b@x.org\n',
        'note\temail\n"victim@y.org\nx\tvictim@y.org"\ta@x.org\nok\tb@x.org\n',
        "email,note\na@x.org,5\" pipe\nb@x.org,it's\n",
    ],
    ids=["LF", "CRLF", "CR", "blank", "doubled", "empty lines", "header", "tab", "no quote"],
)
def test_a_line_inside_a_quoted_cell_is_no_row(read, text):
    report, rows = read(text)
    assert rows.keys() == {"a@x.org", "b@x.org"}
    assert (report["lines"], report["invalid"]) == (2, 0)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_quote_that_nothing_closes_ends_the_file(read, end):
    report, rows = read('email,note\na@x.org,\nb@x.org,"stop;\nvictim@y.org,x\nfwd' + end)
    assert rows.keys() == {"a@x.org"}
    assert (report["lines"], report["invalid"]) == (2, 1)
    assert report["errors"][0]["line"] == 3
    assert "lines 3 to 5 were not read" in report["errors"][0]["message"]


@pytest.mark.parametrize(
    "text",
    [
        'email,note\na@x.org,"say \\"stop\\" to\nvictim@y.org,1\nvictim@y.org"\nb@x.org,ok\n',
        'email,note\na@x.org,"5\\" pipe"\nb@x.org,"ok"\n',
        'note,email\n"\\"a\\" \\\\\nx,victim@y.org\n\\"b\\"\nx,victim@y.org\n",a@x.org\n,b@x.org\n',
        'email,note\na@x.org,"5" pipe"\nb@x.org,"ok"\n',
    ],
    ids=["lines", "one line", "backslash", "not escaped"],
)
def test_a_line_inside_a_malformed_cell_is_no_row(read, text):
    report, rows = read(text)
    assert rows.keys() == {"b@x.org"}
    assert (report["lines"], report["invalid"]) == (2, 1)
    assert "write a quote inside a cell as two" in report["errors"][0]["message"]


def test_a_malformed_cell_that_nothing_closes_ends_the_file(read):
    report, rows = read('email,note\nb@x.org,\na@x.org,"\\"x\\"\n' + "victim@y.org,1\n" * 3)
    assert rows.keys() == {"b@x.org"}
    assert "lines 3 to 6 were not read" in report["errors"][0]["message"]


def test_the_line_of_an_invalid_row_is_where_it_starts(read):
    report, _ = read('email,note\na@x.org,"1\n2\n3"\nnonsense,"1\n2"\nb@x.org,\nworse,\n')
    assert [error["line"] for error in report["errors"]] == [5, 8]


@pytest.mark.parametrize("quotes", ['"', '","', '"""', '""","'])
def test_a_row_that_is_too_long_ends_where_its_quotes_say(workspace, quotes):
    """Neither a long line nor a long cell brings the rows inside of it to light."""
    lines = records.MAX_RECORD_LENGTH // 10
    opened = 'a@x.org,"' + "x" * 70_000 + quotes
    is_open = opened.count('"') % 2 == 1
    inside = "victim@y.org,x\n" * lines if is_open else ""
    text = f"email,note\n{opened}\n{inside}{chr(34) if is_open else ''}\nb@x.org,\n"
    *_, report = import_suppressions(workspace, io.BytesIO(text.encode()))
    assert list(Suppression.objects.values_list("email", flat=True)) == ["b@x.org"]
    assert [(error.line, "longer than" in error.message) for error in report.errors] == [(2, True)]


def test_an_endless_quoted_cell_takes_no_memory(workspace):
    chunks = iter([b'email,note\na@x.org,"'] + [b'victim@y.org,""x""\n' * 3000] * 300)
    tracemalloc.start()
    file = SimpleNamespace(read=lambda size: next(chunks, b""))
    *_, report = import_suppressions(workspace, file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.added, report.invalid) == (0, 1)
    assert peak < 2**20


# --- Delimiters, line ends, encodings ---------------------------------------------------

HEADER, ROW = ["Name", "E-Mail", "Grund"], ["Lee; Ann, Jr.", "a@x.org", "x"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_delimiter_line_end_and_encoding(read, delimiter, line_end, encoding):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows([HEADER, ROW])
    report, rows = read(text.getvalue().encode(encoding))
    assert rows.keys() == {"a@x.org"}
    assert (report["lines"], report["invalid"]) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nemail;a,b\na@x.org;1\n",
        "SEP=;\r\n\r\nemail;a,b\r\na@x.org;1\r\n",
        '"sep=;"\nemail;a\na@x.org;1,2,3\n',
        "\ufeffsep=\t\nemail\ta\na@x.org\t1\n",
        "sep=|\nnote|email\n1|a@x.org\n",
        "\nemail,\na@x.org,\n,\n;,\n",
        "sep=,\na@x.org\n",
        "email , note\n a@x.org , x\n",
    ],
)
def test_a_line_that_names_the_delimiter_and_blank_rows(read, text):
    assert read(text)[1].keys() == {"a@x.org"}


def test_other_cells_may_be_in_any_encoding_but_addresses_are_utf_8(read):
    report, rows = read("name,email\nJörg,a@x.org\nJörg,bob@bücher.example\n".encode("cp1252"))
    assert rows.keys() == {"a@x.org"}
    assert [error["line"] for error in report["errors"]] == [3]
    assert "UTF-8" in report["errors"][0]["message"]


@pytest.mark.parametrize(
    ("start", "seen"),
    [
        (b"PK\x03\x04", "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"%PDF-1.7", "PDF"),
        ("\ufeff".encode("utf-32-le"), "UTF-32"),
        (b"name,street\n", "`name`, `street`"),
        (b'[{"email":\n"', '`[{"email":`'),
        (b"Email,E-Mail\n", "`Email`, `E-Mail`"),
        ("Größe\n".encode("cp1252"), "`Gr??e`"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_was_seen(read, start, seen):
    problem, rows = read(start + b"a@x.org\n")
    assert seen in problem
    assert not rows


# --- Columns and reasons of other services ----------------------------------------------


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("EmailAddress,Reason,LastUpdateTime\na@x.org,BOUNCE,2026-01-01\n", "bounce"),
        ("EmailAddress,Reason\na@x.org,COMPLAINT\n", "complaint"),
        ("status,reason,email,created\n5.1.1,550 No such user,a@x.org,1\n", "manual"),
        ("address,code,error,created_at\na@x.org,550,No such user,1\n", "manual"),
        (
            "EmailAddress,SuppressionReason,Origin,CreatedAt\na@x.org,HardBounce,Recipient,1\n",
            "bounce",
        ),
        ("EmailAddress,SuppressionReason,Origin\na@x.org,SpamComplaint,Admin\n", "complaint"),
        ("EmailAddress,SuppressionReason,Origin\na@x.org,ManualSuppression,Customer\n", "manual"),
        ("Email Address,First Name,Address,Phone\na@x.org,Ann,1 Street,1\n", "manual"),
        ("EMAIL;REASON\na@x.org;contactFlaggedAsSpam\n", "complaint"),
        ("email,reason,detail\na@x.org,soft-bounce,full\n", "soft_bounces"),
        ("recipient,type,source,description\na@x.org,transactional,Bounce Rule,x\n", "bounce"),
        ("E-Mail,Reason\na@x.org,Hard bounce\n", "bounce"),
        ("e_mail,Reason\na@x.org,Unsubscribed via email\n", "unsubscribed"),
        ("Recipient,Reason\na@x.org,Spam Report\n", "complaint"),
        ("email,origin,source_id,created_at\na@x.org,soft_bounces,,\n", "soft_bounces"),
        ("E-Mail-Adresse\na@x.org\n", "manual"),
        ("Nombre;Correo electrónico;Motivo\nAnn;a@x.org;?\n", "manual"),
        ("Adresse e\u0301lectronique,Reason\na@x.org,bounce\n", "bounce"),
        ("Endereço de e-mail\na@x.org\n", "manual"),
    ],
)
def test_columns_and_reasons_of_other_services(read, text, origin):
    report, rows = read(text)
    assert rows == {"a@x.org": origin}
    assert report["invalid"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "email,reason\na@x.org\nb@x.org,bounce\n",
        "id;E-Mail;Grund;type;note\n1;a@x.org\n2;b@x.org;;bounce\n",
        '"email"\t"origin"\t"source"\n"a@x.org"\n"b@x.org"\t\t"hard"\n',
    ],
)
def test_empty_cells_at_the_end_of_a_row_may_be_missing(read, text):
    report, rows = read(text)
    assert rows == {"a@x.org": "manual", "b@x.org": "bounce"}
    assert (report["invalid"], report["unknown_reasons"]) == (0, 0)


def test_an_unknown_reason_is_counted_and_imported(read):
    text = "email,reason\na@x.org,550 5.1.1 gone\nb@x.org,\nc@x.org,bounce\nd@x.org,?\n"
    report, rows = read(text)
    assert rows == {"a@x.org": "manual", "b@x.org": "manual", "c@x.org": "bounce"} | {
        "d@x.org": "manual"
    }
    assert (report["added"], report["invalid"], report["unknown_reasons"]) == (4, 0, 2)


# --- The last line ----------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_last_line_with_a_line_end_counts_without_a_content_length(workspace, end):
    file = io.BytesIO(f"email{end}a@x.org{end}".encode())
    *_, report = import_suppressions(workspace, file, is_whole=False)
    assert (report.added, report.invalid) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "email\na@x.org\nb@x.or",
        "a@x.org\nb@x.or",
        'email\na@x.org\n"b@x.or"',
        'email,note\na@x.org,\nb@x.or,"1\n2',
        "note,email\n,a@x.org\n,b@x.or",
    ],
)
def test_a_last_line_without_a_line_end_may_be_cut_off(workspace, text):
    *_, report = import_suppressions(workspace, io.BytesIO(text.encode()), is_whole=False)
    assert (report.added, report.invalid) == (1, 1)
    assert list(Suppression.objects.values_list("email", flat=True)) == ["a@x.org"]


def test_a_single_line_without_a_line_end_may_be_cut_off(workspace):
    from core.errors import ValidationFailed

    with pytest.raises(ValidationFailed, match="cut off"):
        list(import_suppressions(workspace, io.BytesIO(b"a@x.or"), is_whole=False))


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_form_that_breaks_off_imports_nothing(api, cut):
    head = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    form = (head + b"email\na@x.org\nb@x.org\r\n--xyz--\r\n")[:-cut]
    answer = api.generic(
        "POST", "/suppressions/import", form, content_type="multipart/form-data; boundary=xyz"
    )
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    is_complete = form.endswith((b"--xyz-", b"--xyz--", b"--xyz--\r"))
    assert Suppression.objects.count() == (2 if is_complete else 0), (form, content)


# --- Formulas -----------------------------------------------------------------------------

FORMULAS = [
    "=cmd|x@example.com",
    "+1@example.com",
    "-1@example.com",
    "'=cmd@example.com",
    "''+x@example.com",
    "'plain@example.com",
    "''plain@example.com",
    "o'neil@example.com",
    "a=b@example.com",
    "%2b@example.com",
]


def test_formulas_are_neutralised_and_imported_back(api, stranger):
    for email in FORMULAS:
        assert api.post("/suppressions", {"email": email}).status_code == 200
    text = b"".join(api.get("/suppressions/export").streaming_content)
    cells = [row["email"] for row in csv.DictReader(io.StringIO(text.decode()))]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
    assert b'"\'=cmd|x@example.com",' in text
    assert b"\ro'neil@example.com," in text.replace(b"\n", b"")
    answer = stranger.generic("POST", "/suppressions/import", text, content_type="text/csv")
    assert json.loads(b"".join(answer.streaming_content))["added"] == len(FORMULAS)
    again = b"".join(stranger.get("/suppressions/export").streaming_content)
    rows = [
        [row["email"] for row in csv.DictReader(io.StringIO(each.decode()))]
        for each in (text, again)
    ]
    assert sorted(rows[0]) == sorted(rows[1])
    for email in FORMULAS:
        assert stranger.get(f"/suppressions/{email.replace('%', '%25')}").status_code == 200


def test_formulas_of_other_files_are_addresses_as_they_stand(read):
    assert read("email\n=a@x.org\n'=b@x.org\n'c@x.org\n")[1].keys() == {
        "=a@x.org",
        "=b@x.org",
        "'c@x.org",
    }
