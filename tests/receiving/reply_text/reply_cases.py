"""Reads the cases; cases/README.md describes their files."""

from dataclasses import dataclass
from pathlib import Path

from emails.content.html_to_text import html_to_text

FOLDER = Path(__file__).parent / "cases"
_PARTS = ("@html", "@parent", "@expect")


@dataclass(frozen=True)
class Case:
    name: str
    client: str
    subject: str
    text: str
    html: str | None
    parent: str | None
    expected: str

    @property
    def language(self):
        return self.name.partition("-")[0]


def read_cases():
    return [case for path in sorted(FOLDER.glob("*.txt")) for case in _cases_of(path)]


def trimmed(text):
    """Without blanks at the ends of lines, and blank lines at the end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


def _cases_of(path):
    for case in path.read_text().split("@case ")[1:]:
        head, _, body = case.partition("\n")
        name, client, subject = (part.strip() for part in head.split("|", 2))
        parts, current = {"@text": []}, "@text"
        for line in body.split("\n"):
            if line in _PARTS:
                current = line
                parts[current] = []
            else:
                parts[current].append(line.replace("␠", " ").replace("⍽", "\xa0"))
        joined = {part: "\n".join(lines).rstrip("\n") for part, lines in parts.items()}
        html = joined.get("@html")
        yield Case(
            name,
            client,
            subject,
            text=joined["@text"] or (html_to_text(html) if html else ""),
            html=html,
            parent=joined.get("@parent"),
            expected=joined["@expect"],
        )
