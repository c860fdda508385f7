from datetime import UTC, datetime, timedelta
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
        return self._write(key, _for_host(builder, host).sign(self._key, hashes.SHA256()))

    def self_signed(self, host):
        """The file of a key and a certificate that this authority did not sign."""
        key = _key()
        builder = _builder(_name(host), _name(host), key)
        return self._write(key, _for_host(builder, host).sign(key, hashes.SHA256()))

    def _write(self, key, signed):
        return _write(self._directory / f"server{next(self._numbers)}.pem", key, signed)


def self_signed(path):
    """Write a key and a self-signed certificate; returns the path."""
    key, name = _key(), _name("hooks.example.test")
    return _write(path, key, _builder(name, name, key).sign(key, hashes.SHA256()))


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
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    return builder.add_extension(names, critical=False)


def _write(path, key, signed):
    private = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(PEM))
    return path
