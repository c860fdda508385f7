"""All of OpenSend on one machine: `python -m devstack`, and `Stack` for use from code.

Nothing here reads Django settings: everything that needs Django runs in a process of its own.
"""

from devstack.errors import StackError
from devstack.stack import SERVICES, Stack

__all__ = ["SERVICES", "Stack", "StackError"]
