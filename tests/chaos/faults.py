"""Injects faults into a running stack: kill -9, a Redis that hangs or loses its data."""

import os
import signal
import time
from contextlib import suppress

import psutil
import redis


class FaultInjector:
    """Each round hits one victim at a random moment; `say` prints when and whom."""

    VICTIMS = ("worker", "web", "redis", "one process", "hanging redis", "empty redis")

    def __init__(self, product, *, random, say):
        self._product = product
        self._random = random
        self._say = say
        self._begin = time.monotonic()
        self._number = 0

    def run(self, rounds, *, seconds):
        """Inject one fault in each of `rounds` spans of that many seconds."""
        begin = time.monotonic()
        for place in range(rounds):
            moment = begin + seconds * (place + self._random.uniform(0.1, 0.9))
            time.sleep(max(0.0, moment - time.monotonic()))
            victim = self.VICTIMS[self._number % len(self.VICTIMS)]
            self._number += 1
            description = self._inject(victim)
            at = time.monotonic() - self._begin
            self._say(f"{at:6.1f} s  round {self._number}: {victim} {description}")

    def _inject(self, victim):
        match victim:
            case "worker" | "web" | "redis":
                return self._kill(self._pid(victim))
            case "one process":
                return self._kill_child(self._pid(self._random.choice(["worker", "web"])))
            case "hanging redis":
                return self._hang(self._pid("redis"))
            case "empty redis":
                with redis.Redis.from_url(self._product.facts["redis_url"]) as client:
                    client.flushall()
                return "FLUSHALL"

    def _pid(self, name):
        """The pid of a service; waits if it has just been killed and restarts."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pid = self._product.facts["pids"][name]
            if pid and psutil.pid_exists(pid):
                return pid
            time.sleep(0.05)
        raise AssertionError(f"{name} was not restarted")

    def _kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        return f"kill -9 {pid}"

    def _kill_child(self, pid):
        """Kill one process of a service: a pool, a member of a pool, or a server's worker."""
        victim = self._random.choice(psutil.Process(pid).children(recursive=True))
        command = " ".join(victim.cmdline()[-12:])[-60:]
        victim.kill()
        return f"kill -9 {victim.pid} ({command})"

    def _hang(self, pid):
        seconds = self._random.uniform(2, 5)
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return f"stopped for {seconds:.1f} s"
