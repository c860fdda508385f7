"""PostgreSQL and Redis from PyPI wheels, for machines without them.

Nothing here imports Django: the servers must run before settings can be read.
"""

from devstack.embedded.ports import free_port, port_is_free
from devstack.embedded.postgres import Postgres, create_database
from devstack.embedded.processes import terminate
from devstack.embedded.redis import Redis
from devstack.embedded.service import EmbeddedError

__all__ = [
    "EmbeddedError",
    "Postgres",
    "Redis",
    "create_database",
    "free_port",
    "port_is_free",
    "terminate",
]
