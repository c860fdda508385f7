"""SNS signing certificates: cached in the process and in a shared cache, else fetched over HTTP."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ingest.sns.checks import CertificateUrl
from ingest.sns.fetching import Fetch, FetchFailed
from ingest.sns.policy import Rejected
from ingest.sns.x509 import MAX_PEM_BYTES, Certificate, Untrusted, load_certificate

logger = logging.getLogger(__name__)

FETCH_TIMEOUT = timedelta(seconds=5)


class SharedCache(Protocol):
    """A cache shared by all processes, such as Redis. It may raise anything: an error is a miss."""

    def get(self, key: str) -> bytes | None: ...

    def set(self, key: str, value: bytes, ttl: timedelta) -> None: ...


class CertificateStore:
    """Thread-safe; create one per process. Failed fetches are not cached.

    Callers wait for a fetch inside of `waiting()`.
    """

    def __init__(
        self,
        shared: SharedCache | None = None,
        *,
        ttl: timedelta = timedelta(hours=6),
        max_entries: int = 64,
        max_fetches: int = 8,
        fetch_timeout: timedelta = FETCH_TIMEOUT,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._shared = shared
        self._ttl = ttl
        self._max_entries = max_entries
        self._waiting = waiting
        self._fetch_timeout = fetch_timeout.total_seconds()
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, tuple[Certificate, float]] = OrderedDict()
        self._pending: dict[str, _PendingFetch] = {}
        # Anyone can invent well-formed URLs; fetching them must not block every web thread.
        self._slots = threading.BoundedSemaphore(max_fetches)

    def public_key(self, url: CertificateUrl, *, origin: str | None, now: datetime) -> RSAPublicKey:
        """The public key at a checked URL; `origin`, unless None, replaces its scheme and host.

        Raises Rejected 503, after `fetch_timeout` at the latest. Concurrent callers for the same
        URL share one fetch and its failure.
        """
        address = url.url if origin is None else origin + url.path
        with self._lock:
            certificate = self._from_cache(address, now)
            if certificate is not None:
                return certificate.public_key
            pending = self._pending.get(address)
            if pending is None:
                pending = self._start_fetch(address, region=url.region, now=now)
        with self._waiting():
            return pending.wait().public_key

    def _from_cache(self, address: str, now: datetime) -> Certificate | None:
        entry = self._cached.get(address)
        if entry is None:
            return None
        certificate, fresh_until = entry
        if time.monotonic() >= fresh_until or not certificate.valid_at(now):
            del self._cached[address]
            return None
        self._cached.move_to_end(address)
        return certificate

    def _start_fetch(self, address: str, *, region: str, now: datetime) -> "_PendingFetch":
        if not self._slots.acquire(blocking=False):
            raise _unavailable("too many certificate fetches are in flight")
        pending = _PendingFetch(address, deadline=time.monotonic() + self._fetch_timeout)
        # In a thread, because there is no other way to put a timeout on name resolution.
        thread = threading.Thread(
            target=self._run_fetch, args=(pending, region, now), name="sns-certificate", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._slots.release()
            raise _unavailable("could not start a thread") from error
        self._pending[address] = pending
        return pending

    def _run_fetch(self, pending: "_PendingFetch", region: str, now: datetime) -> None:
        certificate, reason = None, "error"
        try:
            certificate = self._load(pending, region=region, now=now)
        except (FetchFailed, Untrusted) as error:
            reason = str(error)
        except Exception:
            logger.exception("Could not fetch the SNS certificate %s", pending.address)
        with self._lock:
            if certificate is not None:
                self._add_to_cache(pending.address, certificate)
            del self._pending[pending.address]
        self._slots.release()
        pending.finish(certificate, reason)

    def _load(self, pending: "_PendingFetch", *, region: str, now: datetime) -> Certificate:
        certificate = self._read_shared(pending.address, region=region, now=now)
        if certificate is None:
            pem = pending.fetch.run()
            certificate = load_certificate(pem, region=region, now=now)
            self._write_shared(pending.address, pem)
        return certificate

    def _add_to_cache(self, address: str, certificate: Certificate) -> None:
        self._cached[address] = (certificate, time.monotonic() + self._ttl.total_seconds())
        self._cached.move_to_end(address)
        while len(self._cached) > self._max_entries:
            self._cached.popitem(last=False)

    def _read_shared(self, address: str, *, region: str, now: datetime) -> Certificate | None:
        if self._shared is None:
            return None
        try:
            pem = self._shared.get(_shared_key(address))
            return None if pem is None else load_certificate(pem, region=region, now=now)
        except Exception:
            logger.warning(
                "Could not read certificate %s from the shared cache", address, exc_info=True
            )
            return None

    def _write_shared(self, address: str, pem: bytes) -> None:
        if self._shared is None:
            return
        try:
            self._shared.set(_shared_key(address), pem, self._ttl)
        except Exception:
            logger.warning("Could not write a certificate to the shared cache", exc_info=True)


class _PendingFetch:
    """One fetch of one certificate, shared by all callers who wait for it."""

    def __init__(self, address: str, *, deadline: float) -> None:
        self.address = address
        self.fetch = Fetch(address, deadline=deadline, max_bytes=MAX_PEM_BYTES)
        self._deadline = deadline
        self._finished = threading.Event()
        self._certificate: Certificate | None = None
        self._reason = ""

    def wait(self) -> Certificate:
        if not self._finished.wait(max(0.0, self._deadline - time.monotonic())):
            self.fetch.abort()
            raise _unavailable("the fetch timed out")
        if self._certificate is None:
            raise _unavailable(self._reason)
        return self._certificate

    def finish(self, certificate: Certificate | None, reason: str) -> None:
        self._certificate = certificate
        self._reason = reason
        self._finished.set()


def _shared_key(address: str) -> str:
    return f"sns-certificate:{address}"


def _unavailable(reason: str) -> Rejected:
    message = f"The SNS signing certificate is unavailable: {reason}."
    return Rejected(503, "certificate_unavailable", message)
