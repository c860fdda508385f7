class StackError(Exception):
    """The stack could not start. The message says why and what to do."""
