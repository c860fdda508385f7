"""Small files under VAR_DIR, some secret, written atomically for concurrent readers."""

import json
import os
import shlex
from pathlib import Path
from typing import Any


def write_private(path: Path, text: str) -> None:
    """Replace `path` atomically; only its owner can read it."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # an old draft could be readable by others
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def write_json(path: Path, content: Any) -> None:
    write_private(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; empty if the file does not exist."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}


def read_env(path: Path) -> dict[str, str]:
    """The settings that `environment.write_env_file` wrote; empty without the file."""
    try:
        words = shlex.split(path.read_text())
    except FileNotFoundError:
        return {}
    return {name: value for name, _, value in (word.partition("=") for word in words)}
