"""Texts that are secrets by their shape, whoever's they are: tokens of well-known services, private keys. Pure.

The rules are those of detect-secrets that know a token by its own prefix or form. Its rules by entropy and by the names
of variables are left out: on 13.5 MB of ordinary code they raised 92,000 and 25 false alarms (the ones used here
none), and the latter took seventy times as long as all others together.
"""

import importlib
import re
from collections.abc import Callable, Iterator
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

_BEHIND_A_NAME: Final = (
    re.compile(r"://[^\s/:@]{1,100}:(?![$<{*\[%])([^\s/@]{1,200})@"),
    re.compile(
        r"authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:bearer|token|basic)\s{1,3}([\w.~+/=-]{8,2000})", re.IGNORECASE
    ),
)
"""What a program prints of passwords in addresses and of headers. In code these are mostly examples, so only what is
shown is searched for them.
"""

_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,60}KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)

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
        for rule in rules():
            for found in rule.pattern.finditer(window):
                if rule.holds(found[0]):
                    yield Shape(rule.kind, begin + found.start(), begin + found.end())


def printed_shapes(text: str) -> Iterator[Shape]:
    """As `shapes`, and what a program may show beside: passwords in addresses, headers, all of a private key."""
    yield from shapes(text)
    for found in _KEY_BLOCK.finditer(text):
        yield Shape("Private Key", *found.span())
    for rule in _BEHIND_A_NAME:
        for found in rule.finditer(text):
            yield Shape("Password", *found.span(1))


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = bool
    """A second look at what the pattern has found."""


@cache
def rules() -> tuple[_Rule, ...]:
    """All of them. The first call takes a quarter of a second, since the detectors bring an HTTP client along."""
    rules = [_Rule(kind, re.compile(pattern)) for kind, pattern in _OURS.items()]
    for module, name in _DETECTORS.items():
        detector = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)()
        holds = getattr(detector, "is_formally_valid", bool)  # that of web tokens, which decodes them
        rules += [_Rule(detector.secret_type, pattern, holds) for pattern in detector.denylist]
    return tuple(rules)
