"""The whole product on one machine: `python -m opensend.run`, and `Stack` for programs.

Nothing here reads Django settings; what needs Django runs as a process of its own.
"""

from opensend.run.errors import StackError
from opensend.run.stack import SERVICES, Stack

__all__ = ["SERVICES", "Stack", "StackError"]
