"""Loads SNS signing certificates: which ones are trusted, and for how long."""

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MAX_PEM_BYTES = 20 * 1024
MIN_KEY_BITS = 2048

# Exactly one block: an HTML page or an API response may contain someone else's certificate.
_ONE_PEM_BLOCK = re.compile(
    rb"\s*-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*"
)


class Untrusted(Exception):
    """The bytes are not a certificate that is valid for SNS now; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key and its validity dates, both inclusive."""

    public_key: RSAPublicKey
    not_before: datetime
    not_after: datetime

    def valid_at(self, moment: datetime) -> bool:
        return self.not_before <= moment <= self.not_after


def load_certificate(pem: bytes, *, region: str, now: datetime) -> Certificate:
    """Parse and check a certificate; `region` is that of its URL. Raises Untrusted."""
    if len(pem) > MAX_PEM_BYTES or not _ONE_PEM_BLOCK.fullmatch(pem):
        raise Untrusted("not exactly one PEM block")
    try:
        loaded = x509.load_pem_x509_certificate(pem)
        public_key, names = loaded.public_key(), _names(loaded)
    except Exception as error:
        # cryptography raises half a dozen unrelated exceptions for broken DER.
        raise Untrusted("not a readable certificate") from error
    if not isinstance(public_key, RSAPublicKey) or public_key.key_size < MIN_KEY_BITS:
        raise Untrusted(f"not an RSA key of {MIN_KEY_BITS} bits or more")
    if names.isdisjoint(_sns_names(region)):
        raise Untrusted("not issued to SNS")
    certificate = Certificate(
        public_key=public_key,
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
    )
    if not certificate.valid_at(now):
        raise Untrusted("outside its validity dates")
    return certificate


def _names(certificate: x509.Certificate) -> set[str]:
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    names = {str(attribute.value) for attribute in common}
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return names
    return names | set(extension.value.get_values_for_type(x509.DNSName))


def _sns_names(region: str) -> set[str]:
    """The subject names that SNS uses, from the AWS SDK for Java v2 (SnsHostProvider).

    Opt-in regions such as af-south-1 use a certificate that names only the region.
    """
    if region.startswith("cn-"):
        return {"sns.amazonaws.com", "sns.amazonaws.com.cn", f"sns-{region}.amazonaws.com.cn"}
    if region.startswith("us-gov-"):
        return {"sns.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"}
    return {"sns.amazonaws.com", f"sns-signing.{region}.amazonaws.com"}
