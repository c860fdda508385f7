"""Message signatures: AWS, "Verifying the signatures of Amazon SNS messages"."""

from binascii import a2b_base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ingest.sns.messages import NOTIFICATION, SnsMessage
from ingest.sns.policy import Rejected

_PADDING = PKCS1v15()
# SignatureVersion itself is not signed: never guess the hash or try one after the other.
_HASHES = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - version 1 is SHA1 by Amazon's definition


def verify(message: SnsMessage, public_key: RSAPublicKey) -> None:
    """Raises Rejected 403 unless the owner of the key signed exactly this message."""
    algorithm = _HASHES.get(message.signature_version)
    if algorithm is None:
        raise Rejected(403, "signature_version_not_allowed", "SignatureVersion is unknown.")
    try:
        signature = a2b_base64(message.signature, strict_mode=True)
        public_key.verify(signature, canonical_string(message), _PADDING, algorithm)
    except (InvalidSignature, ValueError) as error:
        raise Rejected(403, "invalid_signature", "The signature does not match.") from error


def canonical_string(message: SnsMessage) -> bytes:
    """The signed bytes: "name\\nvalue\\n" for each field that is present, sorted by name."""
    if message.type == NOTIFICATION:
        subject = "" if message.subject is None else f"Subject\n{message.subject}\n"
        text = (
            f"Message\n{message.message}\nMessageId\n{message.message_id}\n{subject}"
            f"Timestamp\n{message.timestamp}\nTopicArn\n{message.topic_arn}\nType\n{message.type}\n"
        )
    else:
        text = (
            f"Message\n{message.message}\nMessageId\n{message.message_id}\n"
            f"SubscribeURL\n{message.subscribe_url}\nTimestamp\n{message.timestamp}\n"
            f"Token\n{message.token}\nTopicArn\n{message.topic_arn}\nType\n{message.type}\n"
        )
    return text.encode()
