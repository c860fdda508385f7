"""The key that signs SNS messages, its self-signed certificate and the signatures themselves."""

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

_SIGNED_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_SIGNED_FIELDS["UnsubscribeConfirmation"] = _SIGNED_FIELDS["SubscriptionConfirmation"]
_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303
_HOST = "sns.amazonaws.com"


class Signer:
    """Signs with the key in `var_dir`, which is made at the first start."""

    def __init__(self, var_dir: Path) -> None:
        key_path, certificate_path = var_dir / "sns-key.pem", var_dir / "sns-cert.pem"
        if not (key_path.exists() and certificate_path.exists()):
            _make_key(key_path=key_path, certificate_path=certificate_path)
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self.certificate_pem = certificate_path.read_bytes()
        der = x509.load_pem_x509_certificate(self.certificate_pem).public_bytes(
            serialization.Encoding.DER
        )
        name = hashlib.sha256(der).hexdigest()[:32]
        self.certificate_path = f"/SimpleNotificationService-{name}.pem"

    def certificate_url(self, region: str) -> str:
        return f"https://sns.{region}.amazonaws.com{self.certificate_path}"

    def sign(self, fields: dict[str, str], *, version: str) -> str:
        """Base64 signature; "1" is RSA with SHA-1, "2" with SHA-256.

        AWS SNS guide, "Verifying the signatures of Amazon SNS messages".
        """
        signature = self._key.sign(canonical(fields), padding.PKCS1v15(), _HASHES[version])
        return base64.b64encode(signature).decode()


def canonical(fields: dict[str, str]) -> bytes:
    """The bytes that are signed: name and value, each with a newline, in byte order of names."""
    names = _SIGNED_FIELDS[fields["Type"]]
    return "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields).encode()


def _make_key(*, key_path: Path, certificate_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Created with its mode, so that there is no moment in which others can read it.
    key_path.unlink(missing_ok=True)
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    certificate_path.write_bytes(_certificate(key).public_bytes(serialization.Encoding.PEM))


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _HOST)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
