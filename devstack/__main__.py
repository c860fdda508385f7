"""`python -m devstack`: run everything in the foreground until Ctrl-C."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from devstack.errors import StackError
from devstack.run_info import banner
from devstack.stack import Stack


def main() -> int:
    stack = Stack(Path(os.environ.get("VAR_DIR") or "var"))
    _stop_on_signals(stack)
    try:
        stack.start()
        if stack.is_up:
            print(banner(stack), flush=True)
        stack.wait()
    except StackError as error:
        print(f"opensend: {error}", file=sys.stderr)
        return 1
    return 0


def _stop_on_signals(stack: Stack) -> None:
    """The first signal stops gracefully, the second one kills."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            stack.request_stop()
        else:
            stack.kill()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, handle)


if __name__ == "__main__":
    sys.exit(main())
