"""`python -m devstack.env_example`: check `.env.example` against the settings; exits 1 on drift."""

import ast
import re
import sys
from collections.abc import Iterator

from devstack.environment import setting_names
from devstack.services import ROOT


def main() -> int:
    problems = list(differences())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def differences() -> Iterator[str]:
    """One line per variable that is read but not listed, or listed but never read."""
    listed = setting_names()
    settings = _read_by_settings((ROOT / "opensend" / "settings.py").read_text())
    for name in sorted(settings - listed):
        yield f".env.example does not list {name}, which settings.py reads"
    for name in sorted(listed - settings - _mentioned()):
        yield f".env.example lists {name}, which nothing reads"


def _read_by_settings(source: str) -> set[str]:
    """The names in calls like `env.int("NAME", default=1)`."""
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
    """All strings in opensend/ that look like a variable: the process launchers read some."""
    text = "".join(path.read_text() for path in sorted((ROOT / "opensend").rglob("*.py")))
    return set(re.findall(r"\"([A-Z][A-Z0-9_]*)\"", text))


if __name__ == "__main__":
    sys.exit(main())
