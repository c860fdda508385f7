import pytest

from domains.names import normalise

LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 57, "com"])


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        ("example.com", "example.com"),
        (" Mail.EXAMPLE.com. ", "mail.example.com"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("example。com", "example.com"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("sub.example.co.uk", "sub.example.co.uk"),
        ("someone.github.io", "someone.github.io"),
        ("pending.twin.test", "pending.twin.test"),
        (LONGEST, LONGEST),
    ],
)
def test_a_name_is_normalised_to_lower_case_a_labels(name, normalised):
    assert normalise(name) == normalised


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "com", "localhost", "a..com", ".example.com", "-a.com", "a-.com"),
        *("exa mple.com", "ex_ample.com", "*.example.com", "example.com/x", "a@example.com"),
        *("http://example.com", "exam\nple.com", "example.com:25", "a" * 64 + ".com"),
        *("1.2.3.4", "a.1", "[::1]", "😀.com", "xn--a.com", "xn--.com", "ü" * 63 + ".com"),
        "d" + LONGEST,
    ],
)
def test_an_invalid_domain_name_is_refused(name):
    with pytest.raises(ValueError):
        normalise(name)


@pytest.mark.parametrize("name", ["co.uk", "github.io", "gov.uk", "CO.UK."])
def test_a_public_suffix_is_refused(name):
    with pytest.raises(ValueError, match="public suffix"):
        normalise(name)
