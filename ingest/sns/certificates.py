"""Keeps the keys that SNS signs with: in this process, in a shared cache, else from the network."""

import logging
import threading
import time
from collections import OrderedDict
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
    """What all processes share, such as Redis. It may raise anything: a failure is a miss."""

    def get(self, key: str) -> bytes | None: ...

    def set(self, key: str, value: bytes, ttl: timedelta) -> None: ...


class CertificateStore:
    """Thread-safe; make one per process. A failed fetch is never remembered."""

    def __init__(
        self,
        shared: SharedCache | None = None,
        *,
        ttl: timedelta = timedelta(hours=6),
        max_entries: int = 64,
        max_fetches: int = 8,
        fetch_timeout: timedelta = FETCH_TIMEOUT,
    ) -> None:
        self._shared = shared
        self._ttl = ttl
        self._max_entries = max_entries
        self._fetch_timeout = fetch_timeout.total_seconds()
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, tuple[Certificate, float]] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        # Well-formed URLs can be made up without end; they must not take every web thread.
        self._slots = threading.BoundedSemaphore(max_fetches)

    def public_key(self, url: CertificateUrl, *, origin: str | None, now: datetime) -> RSAPublicKey:
        """The key behind a checked URL; `origin` replaces scheme and host when it is not None.

        Raises Rejected 503, after `fetch_timeout` at the latest. Callers who want the same URL
        at the same time share one fetch and its failure.
        """
        address = url.url if origin is None else origin + url.path
        with self._lock:
            certificate = self._remembered(address, now)
            if certificate is not None:
                return certificate.public_key
            flight = self._flights.get(address)
            if flight is None:
                flight = self._start_flight(address, region=url.region, now=now)
        return flight.wait().public_key

    def _remembered(self, address: str, now: datetime) -> Certificate | None:
        found = self._cached.get(address)
        if found is None:
            return None
        certificate, fresh_until = found
        if time.monotonic() >= fresh_until or not certificate.valid_at(now):
            del self._cached[address]
            return None
        self._cached.move_to_end(address)
        return certificate

    def _start_flight(self, address: str, *, region: str, now: datetime) -> "_Flight":
        if not self._slots.acquire(blocking=False):
            raise _unavailable("too many certificates are being fetched")
        flight = _Flight(address, deadline=time.monotonic() + self._fetch_timeout)
        thread = threading.Thread(
            target=self._fly, args=(flight, region, now), name="sns-certificate", daemon=True
        )
        # A thread, because name resolution can be bounded in no other way.
        try:
            thread.start()
        except RuntimeError as error:
            self._slots.release()
            raise _unavailable("no thread to fetch with") from error
        self._flights[address] = flight
        return flight

    def _fly(self, flight: "_Flight", region: str, now: datetime) -> None:
        certificate, reason = None, "error"
        try:
            certificate = self._obtain(flight, region=region, now=now)
        except (FetchFailed, Untrusted) as error:
            reason = str(error)
        except Exception:
            logger.exception("Fetching the SNS certificate %s broke", flight.address)
        with self._lock:
            if certificate is not None:
                self._remember(flight.address, certificate)
            del self._flights[flight.address]
        self._slots.release()
        flight.land(certificate, reason)

    def _obtain(self, flight: "_Flight", *, region: str, now: datetime) -> Certificate:
        certificate = self._read_shared(flight.address, region=region, now=now)
        if certificate is None:
            pem = flight.fetch.run()
            certificate = load_certificate(pem, region=region, now=now)
            self._write_shared(flight.address, pem)
        return certificate

    def _remember(self, address: str, certificate: Certificate) -> None:
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
            logger.warning("The shared cache has no usable %s", address, exc_info=True)
            return None

    def _write_shared(self, address: str, pem: bytes) -> None:
        if self._shared is None:
            return
        try:
            self._shared.set(_shared_key(address), pem, self._ttl)
        except Exception:
            logger.warning("The shared cache could not be written", exc_info=True)


class _Flight:
    """One attempt to get one certificate, and everybody who waits for it."""

    def __init__(self, address: str, *, deadline: float) -> None:
        self.address = address
        self.fetch = Fetch(address, deadline=deadline, max_bytes=MAX_PEM_BYTES)
        self._deadline = deadline
        self._landed = threading.Event()
        self._certificate: Certificate | None = None
        self._reason = ""

    def wait(self) -> Certificate:
        if not self._landed.wait(max(0.0, self._deadline - time.monotonic())):
            self.fetch.abort()
            raise _unavailable("too slow")
        if self._certificate is None:
            raise _unavailable(self._reason)
        return self._certificate

    def land(self, certificate: Certificate | None, reason: str) -> None:
        self._certificate = certificate
        self._reason = reason
        self._landed.set()


def _shared_key(address: str) -> str:
    return f"sns-certificate:{address}"


def _unavailable(reason: str) -> Rejected:
    message = f"The SNS signing certificate can't be had now: {reason}."
    return Rejected(503, "certificate_unavailable", message)
