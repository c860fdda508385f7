"""Header fields, parameters and bodies in any charset and encoding."""

import base64
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiving.mime.charsets import decode
from receiving.mime.encoded_words import decode_words, unfold
from receiving.mime.message import read
from receiving.mime.parameters import parse
from receiving.mime.transfer_encodings import decoded
from tests.receiving.mime.messages import lines, message

WORDS = {
    "=?utf-8?q?J=C3=B6rg?=": "Jörg",
    "=?UTF-8?Q?J=c3=b6rg_M?=": "Jörg M",
    "=?utf-8?b?SsO2cmc=?=": "Jörg",
    "=?utf-8?b?SsO2cmc?=": "Jörg",
    "=?iso-8859-1*de?q?Gr=FC=DFe?=": "Grüße",
    "a =?utf-8?q?b?= c": "a b c",
    "=?utf-8?q?a?= =?utf-8?q?b?=": "ab",
    "=?utf-8?q?a?=\t =?iso-8859-1?q?=FC?=": "aü",
    "=?utf-8?q?=C3?= =?utf-8?q?=B6?=": "ö",
    "=?utf-8?b?w7Y=?==?utf-8?b?w7Y=?=": "öö",
    "=?utf-8?q?a?=b": "ab",
    "=?utf-8?q?with spaces inside?=": "with spaces inside",
    "=?x-unknown-charset?q?Gr=FC=DFe?=": "Grüße",
    "=?utf-8?x?abc?=": "=?utf-8?x?abc?=",
    "=?utf-8?q?unfinished": "=?utf-8?q?unfinished",
    "=?utf-8?q?=ZZ=?=": "=ZZ=",
    "=?utf-8?b?!!!?=": "",
    "=?gb2312?b?xOO6ww==?=": "你好",
    "=?iso-2022-jp?b?GyRCJDMkcyRLJEEkTxsoQg==?=": "こんにちは",
    "=?punycode?q?abc-?=": "abc-",
    "1 =?= 2": "1 =?= 2",
}


@pytest.mark.parametrize(("text", "meant"), WORDS.items(), ids=WORDS.keys())
def test_encoded_words_are_decoded(text, meant):
    assert decode_words(text) == meant


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1))
def test_what_other_libraries_encode_is_decoded(text):
    written = Header(text, "utf-8").encode().encode()
    assert decode_words(unfold(written)) == text.removeprefix("\ufeff")


@given(st.text())
def test_any_field_can_be_decoded(text):
    decoded_text = decode_words(text)
    assert "=?" in text or decoded_text == text


@pytest.mark.parametrize(
    ("octets", "meant"),
    [
        (b"one\r\n two\r\n\tthree\r\n", "one two\tthree"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße aus Köln".encode("latin-1"), "Grüße aus Köln"),
        ("Спасибо за ваше письмо".encode("koi8-r"), "Спасибо за ваше письмо"),
    ],
    ids=["folded", "UTF-8", "Latin-1", "KOI8-R"],
)
def test_fields_are_unfolded_and_may_have_octets_outside_ascii(octets, meant):
    assert unfold(octets) == meant


PARAMETERS = {
    "text/plain": {},
    "TEXT/Plain; Charset=UTF-8": {"charset": "UTF-8"},
    'a/b; name="x; y.txt"': {"name": "x; y.txt"},
    r'a/b; name="a\"b.txt"': {"name": 'a"b.txt'},
    "a/b; name=x y.txt": {"name": "x y.txt"},
    "a/b; name=x.txt; name=y.txt": {"name": "x.txt"},
    "a/b; name*=utf-8''na%C3%AFve.txt": {"name": "naïve.txt"},
    "a/b; name*=iso-8859-1'de'gr%FC%DFe.txt": {"name": "grüße.txt"},
    "a/b; name=plain.txt; name*=utf-8''n%C3%AFce.txt": {"name": "nïce.txt"},
    'a/b; name*0="long "; name*1="name.txt"': {"name": "long name.txt"},
    'a/b; name*1="name.txt"; name*0="long "': {"name": "long name.txt"},
    "a/b; name*0*=utf-8''%C3; name*1*=%A4; name*2=.txt": {"name": "ä.txt"},
    'a/b; name="=?utf-8?q?=C3=A4.txt?="': {"name": "ä.txt"},
    "a/b; name==?utf-8?q?=C3=A4.txt?=": {"name": "ä.txt"},
    'a/b; name="unclosed.txt': {"name": "unclosed.txt"},
    "a/b;; ; name=x": {"name": "x"},
    "a/b; name": {},
    "a/b name=x": {"name": "x"},
    "a/b; (a comment) name=x": {"name": "x"},
}


@pytest.mark.parametrize(("text", "meant"), PARAMETERS.items(), ids=PARAMETERS.keys())
def test_parameters_are_read(text, meant):
    assert parse(text).parameters == meant


@given(st.text())
def test_any_value_can_be_parsed(text):
    parse(text)


CHARSETS = {
    "utf-8": "Grüße, 你好",
    "UTF-8": "Grüße",
    "iso-8859-1": "Grüße",
    "windows-1252": "“quoted” €",
    "iso-8859-15": "€",
    "koi8-r": "Привет",
    "windows-1251": "Привет",
    "shift_jis": "こんにちは",
    "iso-2022-jp": "こんにちは",
    "euc-jp": "こんにちは",
    "gb2312": "你好",
    "gb18030": "你好",
    "big5": "你好",
    "euc-kr": "안녕하세요",
    "ks_c_5601-1987": "안녕하세요",
    "utf-16": "Grüße",
    "utf-7": "Grüße",
    "tis-620": "สวัสดี",
    "iso-8859-8-i": "שלום",
    "windows-1256": "مرحبا",
}
_PYTHON = {"ks_c_5601-1987": "cp949", "iso-8859-8-i": "iso8859-8"}


@pytest.mark.parametrize(("label", "text"), CHARSETS.items(), ids=CHARSETS.keys())
def test_bodies_are_decoded_by_their_label(label, text):
    octets = text.encode(_PYTHON.get(label, label))
    assert decode(octets, label) == text


@pytest.mark.parametrize(
    "label", ["", "us-ascii", "x-unknown", "utf-8", "no such charset", "rot13"]
)
@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("utf-8", "Grüße aus Wien"),
        ("cp1252", "Grüße aus Wien, schöne Tage und ein schönes Fest"),
        ("cp1252", "Mañana iré a España con el niño"),
        ("iso8859-2", "Cześć, dziękuję za wiadomość"),
        ("koi8-r", "Здравствуйте, спасибо за ваше письмо"),
        ("cp1251", "Здравствуйте, спасибо за ваше письмо"),
        ("cp932", "こんにちは、お世話になっております。"),
        ("gb18030", "您好。感谢您的来信。我们明天回复您。"),
    ],
    ids=["UTF-8", "German", "Spanish", "Polish", "KOI8-R", "Russian", "Japanese", "Chinese"],
)
def test_without_a_true_label_the_charset_is_detected(label, codec, text):
    assert decode(text.encode(codec), label) == text


def test_a_few_broken_octets_do_not_change_the_charset():
    assert decode("Grüße aus Köln".encode() + b"\xc3", "utf-8") == "Grüße aus Köln\ufffd"


def test_lone_surrogates_become_replacement_characters():
    assert decode(b"a+2AA-b", "utf-7") == "a\ufffdb"


@given(st.binary(), st.sampled_from(["", "utf-8", "utf-7", "utf-16", "gb2312", "hz", "idna", "x"]))
def test_anything_decodes_to_what_can_be_stored(octets, label):
    decode(octets, label).encode()


ENCODED = [
    ("base64", b"SGVsbG8=", b"Hello"),
    ("base64", b"SGVs\r\n  bG8", b"Hello"),
    ("base64", b"SGVsbG8=\r\n-- \r\nfooter", b"Hello"),
    ("base64", b"S*G-V#sbG8=", b"Hello"),
    ("base64", b"SGVsbG8hS", b"Hello!"),
    ("quoted-printable", b"a=3Db=\r\nc  \r\nd", b"a=bc\r\nd"),
    ("quoted-printable", b"=ZZ=e4", b"=ZZ\xe4"),
    ("x-uuencode", b"begin 644 a\r\n%2&5L;&\\ \r\n`\r\nend\r\n", b"Hello"),
    ("7bit", b"a=3D", b"a=3D"),
    ("unheard-of", b"a=3D", b"a=3D"),
]


@pytest.mark.parametrize(("encoding", "octets", "meant"), ENCODED)
def test_content_is_decoded(encoding, octets, meant):
    assert b"".join(decoded(octets, 0, len(octets), encoding)) == meant


@given(st.binary(), st.integers(1, 100))
def test_chunks_change_nothing(octets, width):
    for encoding, text in [
        ("base64", base64.b64encode(octets)),
        ("quoted-printable", b"".join(b"=%02X" % octet for octet in octets)),
    ]:
        whole = b"\r\n".join(text[at : at + width] for at in range(0, len(text), width))
        if encoding == "base64":
            assert b"".join(decoded(whole, 0, len(whole), encoding)) == octets


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_large_contents_come_in_chunks(encoding):
    octets = bytes(range(256)) * 4_000
    text = (
        base64.encodebytes(octets)
        if encoding == "base64"
        else b"".join(b"=%02X" % octet for octet in octets)
    )
    chunks = list(decoded(text, 0, len(text), encoding))
    assert b"".join(chunks) == octets
    assert len(chunks) > 3


def test_flowed_text_is_joined():
    text = "One \nparagraph.\n> quoted \n> text\n>> deeper \n> less\n -- \n-- \nAnn \nLee\n"
    found = read(message(lines(text), content_type="text/plain; format=flowed")).text
    assert found == ("One paragraph.\n> quoted text\n>> deeper \n> less\n-- \n-- \nAnn Lee\n")


def test_flowed_text_may_drop_the_space():
    text = message(
        lines("こん \nにちは\n"), content_type="text/plain; charset=utf-8; format=flowed; delsp=yes"
    )
    assert read(text).text == "こんにちは\n"
