"""Every secret that this service knows, for the redactor and the gate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from models.notices import all_notices
from models.settings import Settings

_SECRET_KEY: Final = re.compile(
    r'"(?:apiKey|api_key|authorization|[^"\n]{0,60}(?:token|secret|password)|[^"\n]{0,60}-api-key)"\s*:\s*'
    r'("(?:[^"\\\n]|\\.)*")',
    re.IGNORECASE,
)
"""In opencode's configuration, which is JSON with comments."""

_SHORTEST: Final = 8
"""Characters of an agent's variable: what is shorter is a flag or a number rather than a key."""

_LONG_PART: Final = 16


def secrets_of(settings: Settings, environ: Mapping[str, str] | None = None) -> list[str]:
    """The secrets in the settings, in the administrator's `opencode.json`, and in those variables of `environ` that the
    setting `agent_env` hands to the agent.
    """
    return [*_of_settings(settings), *_of_agent(settings, environ or {}), *_of_config(settings.home / "opencode.json")]


def _of_settings(settings: Settings) -> Iterator[str]:
    hidden = [secret for secret in (settings.admin_token, settings.oauth_client_secret) if secret]
    for server in settings.servers.values():
        hidden += [*([server.token] if server.token else []), *server.webhook_secrets]
    yield from (secret.get_secret_value() for secret in hidden)
    if settings.database_url is not None and (password := urlsplit(str(settings.database_url)).password):
        yield from {password, unquote(password)}
    for notice in all_notices(settings.notify, settings.notices).values():
        yield from _of_notification(notice.to.get_secret_value() if notice.to else str(notice.webhook))
        yield from [notice.secret.get_secret_value()] if notice.secret else []


def _of_notification(address: str) -> Iterator[str]:
    """Each service has a place of its own for its token, so the address counts, and every long part of it."""
    yield address
    yield from (part for part in re.split(r"[/@?&=]", address) if len(part) >= _LONG_PART)


def _of_agent(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    values = (environ.get(name, "") for name in settings.agent_env)
    yield from (value for value in values if len(value) >= _SHORTEST)


def _of_config(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for found in _SECRET_KEY.finditer(text):
        try:
            value = json.loads(found[1])
        except ValueError:
            continue
        if len(value) >= _SHORTEST and "{env:" not in value and "{file:" not in value:
            yield value.removeprefix("Bearer ")
