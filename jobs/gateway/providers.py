"""Which LLM providers the gateway serves, and what opencode's configuration says instead of their keys. Pure.

A provider is served where its protocol is one of the two that nearly all speak, and its address and key are known:
from the administrator's opencode.json, or from a variable that the setting `agent_env` names. All else that looks like
a credential is left to the agent, and named, so that it can be told.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import json5

from jobs.gateway.prices import Price, read_prices

Style = Literal["openai", "anthropic"]
Config = dict[str, Any]

_STYLES: Mapping[str, Style] = {
    "@ai-sdk/anthropic": "anthropic",
    "@ai-sdk/cerebras": "openai",
    "@ai-sdk/groq": "openai",
    "@ai-sdk/mistral": "openai",
    "@ai-sdk/openai": "openai",
    "@ai-sdk/openai-compatible": "openai",
    "@ai-sdk/togetherai": "openai",
    "@ai-sdk/xai": "openai",
    "@openrouter/ai-sdk-provider": "openai",
}
"""By the package with which opencode speaks to a provider. All send what follows their base address alike: the path
of the call, and the key as a bearer token (Anthropic: as `x-api-key`)."""

_ASKED_FOR_USAGE = ("@ai-sdk/openai", "@ai-sdk/openai-compatible", "@openrouter/ai-sdk-provider")
"""Packages whose servers count a stream's tokens only when told to (`stream_options`); others may refuse the word."""

_SECRET = re.compile(r"api.?key|token|secret|passw|credential|authorization|^headers$|^environment$", re.IGNORECASE)
_NO_SECRET = re.compile(r"tokens$|^max", re.IGNORECASE)
_REFERENCE = re.compile(r"\{(env|file):([^}]+)\}")


class ConfigBroken(Exception):
    """The administrator's opencode.json cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """A provider as opencode's catalogue and its packages have it: addresses of the packages of opencode 1.18.33."""

    variable: str
    base_url: str
    package: str = "@ai-sdk/openai-compatible"


KNOWN: Mapping[str, Known] = {
    "anthropic": Known("ANTHROPIC_API_KEY", "https://api.anthropic.com/v1", "@ai-sdk/anthropic"),
    "cerebras": Known("CEREBRAS_API_KEY", "https://api.cerebras.ai/v1", "@ai-sdk/cerebras"),
    "deepseek": Known("DEEPSEEK_API_KEY", "https://api.deepseek.com"),
    "groq": Known("GROQ_API_KEY", "https://api.groq.com/openai/v1", "@ai-sdk/groq"),
    "mistral": Known("MISTRAL_API_KEY", "https://api.mistral.ai/v1", "@ai-sdk/mistral"),
    "openai": Known("OPENAI_API_KEY", "https://api.openai.com/v1", "@ai-sdk/openai"),
    "openrouter": Known("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1", "@openrouter/ai-sdk-provider"),
    "togetherai": Known("TOGETHER_API_KEY", "https://api.together.xyz/v1", "@ai-sdk/togetherai"),
    "xai": Known("XAI_API_KEY", "https://api.x.ai/v1", "@ai-sdk/xai"),
}


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that is served: `headers` are sent with each call and hold its key."""

    name: str
    style: Style
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ask_usage: bool = False
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def secrets(self) -> list[str]:
        """The values by which the provider knows us, without the word that may stand before them (`Bearer`)."""
        given = [value.split() for name, value in self.headers.items() if _SECRET.search(name)]
        return [words[-1] for words in given if words]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Who is served, and what the agents get: a configuration without keys, and variables. `handed` names what of it
    is, or may be, a credential.
    """

    providers: Mapping[str, Provider] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    handed: Sequence[str] = ()
    has_config: bool = False
    config: Config = field(default_factory=dict, repr=False)

    def config_for(self, address: str, token: str) -> Config | None:
        """What opencode.json says for one job: each served provider is to be found at the gateway, whose `address` is
        that of its root, and takes the job's token. None where there is nothing to say.
        """
        if not self.has_config and not self.providers:
            return None
        config = copy.deepcopy(self.config)
        for name in self.providers:
            options = config.setdefault("provider", {}).setdefault(name, {}).setdefault("options", {})
            options |= {"baseURL": f"{address}/{name}", "apiKey": token}
        return config

    @property
    def secrets(self) -> list[str]:
        """Those of all providers."""
        return [secret for provider in self.providers.values() for secret in provider.secrets]


def arrange(text: str | None, names: Sequence[str], environ: Mapping[str, str], home: Path) -> Arrangement:
    """The arrangement by the administrator's opencode.json (`text`, None where there is none) and the variables that
    `names` of the settings name. Paths in the file are those of `home`. Raises ConfigBroken.
    """
    config = _parsed(text) if text is not None else {}
    given = {name: environ[name] for name in names if environ.get(name)}
    entries = _table(config, "provider")
    served: dict[str, Provider] = {}
    for name in dict.fromkeys([*entries, *(id_ for id_, known in KNOWN.items() if known.variable in given)]):
        entry = entries.get(name, {})
        provider = _served(name, entry if isinstance(entry, dict) else {}, given, environ, home)
        if provider is not None:
            served[name] = provider
            _take_out(config, name)
    left = {name: value for name, value in given.items() if name not in _variables(served)}
    handed = [*left, *(f"opencode.json: {path}" for path in _credentials(config))]
    return Arrangement(served, left, handed, text is not None, config)


def _parsed(text: str) -> Config:
    try:
        read = json5.loads(text)
    except ValueError as error:
        raise ConfigBroken(f"opencode.json cannot be read: {error}") from None
    if not isinstance(read, dict):
        raise ConfigBroken("opencode.json is not an object {…}")
    return read


def _table(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name, {})
    return value if isinstance(value, dict) else {}


def _served(
    name: str, entry: Config, given: Mapping[str, str], environ: Mapping[str, str], home: Path
) -> Provider | None:
    """The provider as the gateway serves it; None where it cannot."""
    known, options = KNOWN.get(name), _table(entry, "options")
    package = entry.get("npm") or (known.package if known else None)
    style = _STYLES.get(package) if isinstance(package, str) else None
    text = options.get("baseURL") or entry.get("api") or (known.base_url if known else "")
    base = _resolved(text, environ, home).rstrip("/")
    if style is None or not _is_address(base) or _goes_elsewhere(entry) or not re.fullmatch(r"[\w.-]+", name):
        return None
    key = _resolved(options.get("apiKey", ""), environ, home) or (given.get(known.variable, "") if known else "")
    own = {str(header): _resolved(value, environ, home) for header, value in _table(options, "headers").items()}
    if not key and not own and known is not None and not options:
        return None
    ask = package in _ASKED_FOR_USAGE
    return Provider(name, style, base, _headers(style, key) | own, ask, read_prices(_table(entry, "models")))


def _headers(style: Style, key: str) -> dict[str, str]:
    if not key:
        return {}
    return {"x-api-key": key} if style == "anthropic" else {"authorization": f"Bearer {key}"}


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment


def _goes_elsewhere(entry: Config) -> bool:
    """Whether a model of the provider has an address or a package of its own."""
    models = _table(entry, "models").values()
    return any(isinstance(model, dict) and model.get("provider") for model in models)


def _resolved(value: object, environ: Mapping[str, str], home: Path) -> str:
    """The text with `{env:NAME}` and `{file:PATH}` replaced as opencode does: what is not there is nothing."""

    def replaced(match: re.Match[str]) -> str:
        kind, name = match[1], match[2].strip()
        if kind == "env":
            return environ.get(name, "")
        path = home / Path(name).expanduser()
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""

    return _REFERENCE.sub(replaced, value) if isinstance(value, str) else ""


def _take_out(config: Config, name: str) -> None:
    """Take what the gateway knows now out of the configuration."""
    options = _table(_table(config, "provider").get(name, {}), "options")
    for key in ("apiKey", "baseURL", "headers"):
        options.pop(key, None)


def _variables(served: Mapping[str, Provider]) -> set[str]:
    return {KNOWN[name].variable for name in served if name in KNOWN}


def _credentials(value: object, path: str = "") -> Iterator[str]:
    """Where something stands that looks like a credential. A reference to a variable is none by itself."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _credentials(item, f"{path}[{number}]")
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        here = f"{path}.{key}" if path else str(key)
        literal = isinstance(item, dict) or (isinstance(item, str) and _REFERENCE.sub("", item).strip())
        if _SECRET.search(str(key)) and not _NO_SECRET.search(str(key)) and item and literal:
            yield here
        else:
            yield from _credentials(item, here)
