"""Hypothesis strategies for HTML: well-formed, sloppy and misleading documents."""

from hypothesis import strategies as st

BLANKS = st.text("\t\n\f\r ", min_size=1, max_size=2)
URLS = st.sampled_from(
    [
        "https://one.test/",
        "http://two.test/a?b=1&amp;c=2",
        "HTTPS://three.test/?a=1&copy=2&reg;=3&notit;&lt",
        " https://four.test/ü#x ",
        "https://five.test/&#x41;&#66;&unknown;&",
        "mailto:a@b.test",
        "#here",
        "javascript:alert(1)",
        "https://six.test/\r\n/x",
        "//seven.test/",
        "",
    ]
)
NAMES = st.sampled_from(
    ["href"] * 6
    + ["HREF", "class", "data-href", "xhref", "href2", "title", "data-opensend-no-track"]
)
TAGS = st.sampled_from(
    ["a"] * 8
    + ["A", "area", "abbr", "p", "div", "br", "img", "b", "map", "body", "html", "article", "x-a"]
)
TEXTS = st.sampled_from(
    ["script", "style", "textarea", "title", "iframe", "noembed", "xmp", "noframes"]
)
BITS = st.sampled_from(
    ["x", "a < b", "<", ">", "&amp;", "<3", "</>", "</ a>", "<!", "<?php ?>", "<!doctype html>"]
) | st.sampled_from(
    ["'", '"', "=", "--", "-->", "<!-", "<!-->", "<!--->", "--!>", "\n", "\u017f", "\u212a"]
)


@st.composite
def attributes(draw):
    name = draw(NAMES)
    if draw(st.integers(0, 9)) == 0:
        return name
    before, after = draw(st.sampled_from(["", " ", "\n"])), draw(st.sampled_from(["", " ", "\t"]))
    value = draw(URLS | BITS)
    quote = draw(st.sampled_from(['"', "'", ""]))
    return f"{name}{before}={after}{quote}{value}{quote}"


@st.composite
def tags(draw):
    slash = draw(st.sampled_from(["", "", "", "", "/"]))
    parts = draw(st.lists(attributes(), min_size=1, max_size=3))
    gaps = [draw(BLANKS | st.just("/")) for _ in parts]
    end = draw(st.sampled_from([*[">"] * 8, " >", "/>", " />", ""]))
    inside = "".join(gap + part for gap, part in zip(gaps, parts, strict=True))
    return f"<{slash}{draw(TAGS)}{inside}{end}"


@st.composite
def texts(draw):
    name = draw(TEXTS)
    inside = draw(
        st.lists(tags() | BITS | st.sampled_from([f"</{name}x>", f"<{name}>"]), max_size=4)
    )
    end = draw(
        st.sampled_from([f"</{name}>", f"</{name} >", f"</{name.upper()}/>", f"</{name}>", ""])
    )
    return f"<{name}>{''.join(inside)}{end}"


@st.composite
def comments(draw):
    inside = draw(st.lists(tags() | BITS, max_size=3))
    return f"<!--{''.join(inside)}{draw(st.sampled_from(['-->', '-->', '-->', '--!>', '']))}"


well_formed = st.builds('<p><a href="{}">x</a></p>'.format, URLS)
documents = st.lists(
    well_formed | well_formed | well_formed | tags() | tags() | BITS | texts() | comments(),
    min_size=1,
    max_size=10,
).map("".join)
