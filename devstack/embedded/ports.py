"""Loopback TCP ports that nobody listens on."""

import random
import socket

# Below the ephemeral range of Linux (32768) and macOS (49152): while a server is being
# restarted, no outgoing connection of another process can be given its port.
_FIRST, _LAST = 20000, 31999


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is no listener
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, preferred: int | None = None) -> int:
    """`preferred` if nobody listens there, otherwise another port (20000 to 31999).

    Raises OSError when a thousand tries found none.
    """
    if preferred is not None and port_is_free(preferred):
        return preferred
    dice = random.SystemRandom()  # two checkouts started in the same second must differ
    for _ in range(1000):
        port = dice.randint(_FIRST, _LAST)
        if port_is_free(port):
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")
