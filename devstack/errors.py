class StackError(Exception):
    """The stack could not start; the message says why and what to do."""
