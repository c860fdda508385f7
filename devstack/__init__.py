"""The whole product on one machine: `python -m devstack`, and `Stack` for programs.

Nothing here reads Django settings; what needs Django runs as a process of its own.
"""

from devstack.errors import StackError
from devstack.stack import SERVICES, Stack

__all__ = ["SERVICES", "Stack", "StackError"]
