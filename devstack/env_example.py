"""`python -m devstack.env_example`: is `.env.example` what the settings read? 1 if not."""

import ast
import re
import sys
from collections.abc import Iterator

from devstack.services import ROOT

# A line such as `NAME=value` or, for a default that need not be set, `# NAME=value`.
_ENTRY = re.compile(r"^(?:#\s*)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def main() -> int:
    problems = list(differences())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def differences() -> Iterator[str]:
    """One line for each variable that is read and not listed, or listed and never read."""
    listed = set(_ENTRY.findall((ROOT / ".env.example").read_text()))
    settings = _read_by_settings((ROOT / "opensend" / "settings.py").read_text())
    for name in sorted(settings - listed):
        yield f".env.example does not list {name}, which settings.py reads"
    for name in sorted(listed - settings - _mentioned()):
        yield f".env.example lists {name}, which nothing reads"


def _read_by_settings(source: str) -> set[str]:
    """The names in calls such as `env.int("NAME", default=1)`."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def _mentioned() -> set[str]:
    """Whatever else looks like a variable in the code that starts the processes."""
    text = "".join(path.read_text() for path in sorted((ROOT / "opensend").rglob("*.py")))
    return set(re.findall(r"\"([A-Z][A-Z0-9_]*)\"", text))


if __name__ == "__main__":
    sys.exit(main())
