"""Whether a delivery comes from somebody who knows one of our webhook secrets.

Gitea signs the JSON text with HMAC-SHA256, the secret's bytes as the key, and sends the digest as 64
lower-case hexadecimal letters (services/webhook/deliver.go). Without a secret it sends the same headers,
empty.
"""

import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

_PLAIN = "x-gitea-signature"
_PREFIXED = "x-hub-signature-256"
_PREFIX = "sha256="
_DIGEST = re.compile(r"[0-9a-f]{64}")


def verify(secrets: Sequence[bytes], text: bytes, headers: Mapping[str, str]) -> bool:
    """Whether `headers` (names in lower case, or a mapping that ignores case) sign `text` with a secret.

    Each of `secrets` is tried whichever matched before it, so the time taken does not tell which one did. An
    empty secret verifies nothing.
    """
    digest = _digest(headers)
    if digest is None:
        return False
    matches = [_signed(secret, text, digest) for secret in secrets if secret]
    return any(matches)


def is_claimed(headers: Mapping[str, str]) -> bool:
    """Whether the headers hold a signature at all: without one nothing has to be read to know that none is right."""
    return _digest(headers) is not None


def _digest(headers: Mapping[str, str]) -> bytes | None:
    """The digest claimed. A signature header that is there decides, even an empty one: no second try."""
    claimed = headers.get(_PLAIN)
    if claimed is None:
        prefixed = headers.get(_PREFIXED, "")
        claimed = prefixed.removeprefix(_PREFIX) if prefixed.startswith(_PREFIX) else ""
    return bytes.fromhex(claimed) if _DIGEST.fullmatch(claimed) else None


def _signed(secret: bytes, text: bytes, digest: bytes) -> bool:
    mac = HMAC(secret, SHA256())
    mac.update(text)
    try:
        mac.verify(digest)
    except InvalidSignature:
        return False
    return True
