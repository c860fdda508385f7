"""Free loopback TCP ports."""

import random
import socket

# Below the ephemeral range of Linux (32768) and macOS (49152): while a server restarts, no outgoing
# connection of another process can take its port.
_FIRST, _LAST = 20000, 31999


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore sockets in TIME_WAIT
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, preferred: int | None = None) -> int:
    """`preferred` if it is free, otherwise a random free port between 20000 and 31999.

    Raises OSError after a thousand attempts.
    """
    if preferred is not None and port_is_free(preferred):
        return preferred
    randomness = (
        random.SystemRandom()
    )  # two checkouts started in the same second must get different ports
    for _ in range(1000):
        port = randomness.randint(_FIRST, _LAST)
        if port_is_free(port):
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")
