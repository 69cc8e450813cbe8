"""The recorded deliveries: body, headers as sent, and the secret they are signed with."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "payloads"


@dataclass(frozen=True)
class Recorded:
    """One delivery. `text` is the JSON that is signed; for a form the body differs from it."""

    name: str
    body: bytes
    headers: dict[str, str]

    @property
    def event_type(self) -> str:
        return self.headers["X-Gitea-Event-Type"]

    @property
    def is_form(self) -> bool:
        return self.headers["Content-Type"] != "application/json"


@cache
def _file() -> tuple[str, dict[str, Recorded]]:
    index = json.loads((FOLDER / "deliveries.json").read_text())
    recorded = {
        name: Recorded(name, (FOLDER / Path(entry["file"]).name).read_bytes(), entry["headers"])
        for name, entry in index["deliveries"].items()
    }
    return index["secret"], recorded


def secret() -> str:
    return _file()[0]


def recorded() -> dict[str, Recorded]:
    """Every recorded delivery by its name."""
    return _file()[1]


def sign(text: bytes, key: str) -> str:
    """What Gitea puts into X-Gitea-Signature."""
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


def signed_headers(text: bytes, event_type: str, key: str, uuid: str = "d-1") -> dict[str, str]:
    """Headers of a JSON delivery, as far as they are read."""
    return {
        "Content-Type": "application/json",
        "X-Gitea-Delivery": uuid,
        "X-Gitea-Event-Type": event_type,
        "X-Gitea-Signature": sign(text, key),
    }
