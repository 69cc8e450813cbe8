"""Where log lines go and what they look like."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from jobs.known_secrets import secrets_of
from jobs.redact import Redactor
from models.saying import FIELDS
from models.settings import Settings


class _Redacted(logging.Formatter):
    """A formatter whose lines hold no secret that we know, whatever was logged."""

    def __init__(self, secrets: Sequence[str], *, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s")
        self.converter = time.gmtime
        self.default_msec_format = "%s.%03dZ"
        self.default_time_format = "%Y-%m-%dT%H:%M:%S"
        self._redactor = Redactor(secrets)
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        return self._json(record) if self._as_json else self._redactor.clean(super().format(record))

    def _json(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        said["message"] = record.getMessage()
        said |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        clean = {name: self._redactor.clean(text) if isinstance(text, str) else text for name, text in said.items()}
        return msgspec.json.encode(clean).decode()


def set_up_logging(settings: Settings, environ: Mapping[str, str]) -> None:
    """Log to standard error, from `settings.log_level` up, as text or JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacted(secrets_of(settings, environ), as_json=settings.log_format == "json"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for chatty in ("apprise", "httpx", "httpcore", "huey", "peewee", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
