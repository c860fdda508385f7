"""PostgreSQL and Redis from pip wheels, for a machine that has neither.

Nothing here imports Django: the servers must run before settings can be read.
"""

from core.embedded.ports import free_port, port_is_free
from core.embedded.postgres import Postgres, create_database
from core.embedded.processes import die_with_parent, end
from core.embedded.redis import Redis
from core.embedded.service import EmbeddedError

__all__ = [
    "EmbeddedError",
    "Postgres",
    "Redis",
    "create_database",
    "die_with_parent",
    "end",
    "free_port",
    "port_is_free",
]
