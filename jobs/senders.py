"""Ways out for notifications: messaging services, through apprise, and signed webhooks."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

import httpx
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from models.notices import Notice
from models.reading import SettingsError
from models.side_tables import Notification

SECONDS = 10.0
"""How long a webhook may take to answer."""

MOST_SAID = 200


class NotSent(Exception):
    """It has not arrived; the message says why, and may hold what the other side said."""


class Sender(Protocol):
    """One address."""

    def send(self, notification: Notification) -> None:
        """Send it, or raise NotSent. Blocks for some seconds at most."""


class Message:
    """To a messaging service, by an address as apprise reads them (https://github.com/caronc/apprise)."""

    _one_at_a_time = threading.Lock()
    """apprise says why something failed in its log only, which is the same for all."""

    def __init__(self, name: str, address: str) -> None:
        from apprise import Apprise  # with all its services: only where one is used

        service = Apprise.instantiate(address, suppress_exceptions=True)
        if service is None:
            raise SettingsError(
                f"{name}: this is no notification address; right would be one like tgram://BOT_TOKEN/CHAT or "
                "mailtos://USER:PASSWORD@example.com, as apprise describes them"
            )
        self._service = service

    def send(self, notification: Notification) -> None:
        from apprise import LogCapture, NotifyFormat

        capture = LogCapture(level=logging.WARNING)  # type: ignore[no-untyped-call]
        with self._one_at_a_time, capture as said:
            # The service itself, in this thread: apprise would hand it to threads of its own, which outlive a stop.
            words = {"title": notification.title, "body": notification.body}
            arrived = self._service.notify(**words, body_format=NotifyFormat.TEXT)
            problem = said.getvalue()
        if not arrived:
            lines = [line.strip() for line in problem.splitlines() if line.strip()]
            raise NotSent((lines or ["the service did not take it"])[-1][:MOST_SAID])


class SignedWebhook:
    """To somebody's own program: the facts as JSON, signed as Gitea signs its webhooks."""

    def __init__(self, address: str, secret: str) -> None:
        self._address, self._secret = address, secret.encode()

    def send(self, notification: Notification) -> None:
        body = notification.facts.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "kugetsu",
            "X-Kugetsu-Event": notification.event,
            "X-Kugetsu-Delivery": notification.uuid,
            "X-Kugetsu-Signature": signature(self._secret, body),
            "X-Hub-Signature-256": f"sha256={signature(self._secret, body)}",
        }
        try:
            answer = httpx.post(self._address, content=body, headers=headers, timeout=SECONDS, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotSent(f"no answer: {str(error) or type(error).__name__}"[:MOST_SAID]) from error
        if not answer.is_success:
            raise NotSent(f"answered {answer.status_code}")


def signature(secret: bytes, body: bytes) -> str:
    """The HMAC-SHA256 of the exact bytes sent, in lower-case hexadecimal letters."""
    mac = HMAC(secret, SHA256())
    mac.update(body)
    return mac.finalize().hex()


def sender_of(name: str, notice: Notice) -> Sender:
    """The way to an address of the settings. Raises SettingsError where apprise does not understand it."""
    if notice.to is not None:
        return Message(name, notice.to.get_secret_value())
    return SignedWebhook(str(notice.webhook), notice.secret.get_secret_value() if notice.secret else "")
