"""Finds every command that README.md and docs/ tell a reader to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELLS = {"sh", "bash", "shell", "console"}
PROGRAMS = {
    *("make", "python", "python3", ".venv/bin/python", "pip", ".venv/bin/pip", "manage.py"),
    *("npm", "npx", "node", "flask", "uvicorn", "gunicorn", "granian", "celery", "django-admin"),
    *("docker", "curl", "os", "export", "source", "mkdir", "cd", "cp", "git", "aws", "psql"),
    *("apt", "apt-get", "brew", "sudo", "uv", "redis-cli", "openssl", "kubectl", "pytest"),
}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_SAMPLE = re.compile(r"(?:#|//) \S+: (.+)")  # such as `# app.py: pip install flask; flask run`


@dataclass(frozen=True)
class Command:
    page: str
    text: str

    def __str__(self):
        return f"{self.page}: {self.text}"


def commands():
    """Every command once, in the order of the pages."""
    return list(dict.fromkeys(each for page in PAGES for each in commands_of(page)))


def commands_of(page):
    text = page.read_text()
    found = []
    for language, code in _FENCE.findall(text):
        if language in SHELLS:
            found += logical_lines(code)
        elif sample := _SAMPLE.match(code):
            parts = re.sub(r" \([^)]*\)", "", sample[1]).split(";")
            found += [part.strip() for part in parts if is_command(part)]
    spans = (" ".join(span.split()) for span in _INLINE.findall(_FENCE.sub("", text)))
    found += [span for span in spans if is_command(span)]
    return [Command(page.name, each) for each in found]


def unlabelled():
    """Commands in blocks that do not say that they are for a shell."""
    return [
        f"{page.name}: {line}"
        for page in PAGES
        for language, code in _FENCE.findall(page.read_text())
        if not language
        for line in code.splitlines()
        if is_command(line)
    ]


def is_command(text):
    """Whether it starts with a program, after assignments; one word is only a mention of it."""
    words = text.split()
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    return words == ["make"] or (len(words) > 1 and words[0] in PROGRAMS)


def logical_lines(code):
    """The commands of a block: quotes and backslashes may continue a line."""
    found, pending = [], ""
    for line in code.splitlines():
        pending += line
        if pending.endswith("\\") or not _is_complete(pending):
            pending += "\n"
            continue
        if command := re.sub(r"\s+# .*", "", pending).strip():
            found.append(command)
        pending = ""
    assert not pending, f"unfinished: {pending}"
    return found


def _is_complete(text):
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True
