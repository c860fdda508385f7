"""TLS certificates of servers that tests run."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """A certificate authority; its own certificate is at `path`."""

    def __init__(self, directory):
        self._directory, self._numbers = directory, count()
        self._key, self._name = _key(), _name("An authority for tests")
        own = _builder(self._name, self._name, self._key)
        # Required by Python 3.13 and later.
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.path = directory / "authority.pem"
        self.path.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def certificate(self, host, *, valid=(-1, 1)):
        """The file of a key and a certificate for the host; `valid` is in hours from now."""
        key = _key()
        builder = _builder(_name(host), self._name, key, valid=valid)
        signed = _for_host(builder, host).sign(self._key, hashes.SHA256())
        return _write(self._next_path(), key, signed)

    def self_signed(self, host):
        """The file of a key and a certificate that this authority did not sign."""
        return self_signed(self._next_path(), host)

    def _next_path(self):
        return self._directory / f"server{next(self._numbers)}.pem"


def self_signed(path, host="hooks.example.test"):
    """Write a key and its self-signed certificate for a host or IP address; returns the path.

    A client that trusts the file accepts the certificate.
    """
    key, name = _key(), _name(host)
    builder = _for_host(_builder(name, name, key), host)
    own = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return _write(path, key, own.sign(key, hashes.SHA256()))


def _key():
    return ec.generate_private_key(ec.SECP256R1())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject, issuer, key, *, valid=(-1, 1)):
    now = datetime.now(UTC)
    number = x509.random_serial_number()
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), number)
    first, last = (now + timedelta(hours=hours) for hours in valid)
    return builder.not_valid_before(first).not_valid_after(last)


def _for_host(builder, host):
    try:
        name = x509.IPAddress(ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    return builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)


def _write(path, key, signed):
    private = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(PEM))
    return path
