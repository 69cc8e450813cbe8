"""Texts that are secrets by their shape, whoever's they are: tokens of well-known services, private keys. Pure.

The rules are those of detect-secrets that know a token by its own prefix or form. Its rules by entropy and by the names
of variables are left out: on 13.5 MB of ordinary code they raised 92,000 and 25 false alarms (the ones used here
none), and the latter took seventy times as long as all others together.
"""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

_DETECTORS: Final = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
"""Modules of detect_secrets.plugins, and the detector in each."""

_OURS: Final = {
    "Anthropic Key": r"\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{20,200}",
    "OpenAI Project Key": r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}",
    "Model Provider Key": r"\bsk-[A-Za-z0-9]{32,64}\b",
    "OpenRouter Key": r"\bsk-or-v1-[0-9a-f]{64}\b",
    "GitHub Fine-Grained Token": r"\bgithub_pat_[A-Za-z0-9_]{60,100}",
    "Google API Key": r"\bAIza[0-9A-Za-z_-]{35}",
    "Hugging Face Token": r"\bhf_[A-Za-z]{34}\b",
    "Groq Key": r"\bgsk_[A-Za-z0-9]{48,60}\b",
}
"""What the providers of models hand out, which detect-secrets 1.5 does not know."""

_WINDOW: Final = 4096
_OVERLAP: Final = 512
"""Characters. Text is looked at in pieces: some rules take time that grows with the square of a line's length."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A secret's place in a text, and what kind it is."""

    kind: str
    first: int
    last: int
    """Just behind its last character."""


def shapes(text: str) -> Iterator[Shape]:
    """What in `text` looks like a secret; the same place may be named twice."""
    for begin in range(0, max(len(text), 1), _WINDOW - _OVERLAP):
        window = text[begin : begin + _WINDOW]
        for kind, rule in _rules():
            for found in rule.finditer(window):
                yield Shape(kind, begin + found.start(), begin + found.end())


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Read when first needed: the detectors bring an HTTP client along, which takes a quarter of a second."""
    found = [(kind, re.compile(rule)) for kind, rule in _OURS.items()]
    for module, name in _DETECTORS.items():
        detector = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)()
        found += [(detector.secret_type, rule) for rule in detector.denylist]
    return tuple(found)
