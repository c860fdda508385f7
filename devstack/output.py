"""Merges the output of all processes into one stream, each line prefixed with its process."""

import os
import threading
from contextlib import suppress
from typing import BinaryIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95)
_WIDTH = 10


class Output:
    """Writes whole lines to `stream`. Prefixes are coloured on terminals unless NO_COLOR is set."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()
        self._names: list[str] = []

    def pipe(self, name: str) -> int:
        """The write end of a new pipe whose lines are printed with the prefix `name`.

        The caller closes it once the writing process has inherited it.
        """
        reader, writer = os.pipe()
        threading.Thread(target=self._copy, args=(name, reader), daemon=True).start()
        return writer

    def line(self, name: str, text: bytes) -> None:
        with self._lock, suppress(OSError, ValueError):
            # A closed terminal must not block or kill the processes: their output is still read.
            self._stream.write(self._prefix(name) + text.rstrip(b"\r\n") + b"\n")
            self._stream.flush()

    def _copy(self, name: str, reader: int) -> None:
        with os.fdopen(reader, "rb") as lines:
            for text in lines:
                self.line(name, text)

    def _prefix(self, name: str) -> bytes:
        if name not in self._names:
            self._names.append(name)
        label = f"{name:<{_WIDTH}} | "
        if self._coloured:
            colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
            label = f"\x1b[{colour}m{label}\x1b[0m"
        return label.encode()
