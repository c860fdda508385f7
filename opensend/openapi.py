"""What the schema leaves out."""

from typing import Any

Endpoint = tuple[str, str, str, Any]


def only_canonical_paths(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Every path answers under /api/... too; it is described once."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith("/api/")]
