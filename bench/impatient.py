"""Clients that give up after a second and try again: `python -m bench.impatient <port> <count>`.

Reads the request from stdin. Each try has a connection of its own. Runs until it is killed.
"""

import asyncio
import sys

import uvloop

_PATIENCE = 1.0


async def _client(port: int, request: bytes) -> None:
    while True:
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(request)
                    status = (await reader.read(65536))[9:12]
                finally:
                    writer.close()
            # A client that is refused waits as `Retry-After` says; the others go on at once.
            await asyncio.sleep(0.5 if status == b"503" else 0)
        except (TimeoutError, OSError):
            await asyncio.sleep(0)


async def _all(port: int, count: int, request: bytes) -> None:
    await asyncio.gather(*(_client(port, request) for _ in range(count)))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_all(int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read()))
