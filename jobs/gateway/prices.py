"""What tokens cost: by opencode's configuration and catalogue, in US dollars a million. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

_MILLION = 1_000_000
_MODEL = re.compile(r"^([\w.-]+)/(\S+)\n(?=\{)", re.MULTILINE)


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer. `input` leaves out what the provider read from its cache, or wrote to it. `cost` is the
    provider's own word, where it gives one.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost: float | None = None


class Price(msgspec.Struct, frozen=True):
    """US dollars for a million tokens."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0

    def of(self, usage: Usage) -> float:
        counted = usage.input * self.input + usage.output * self.output
        return (counted + usage.cache_read * self.cache_read + usage.cache_write * self.cache_write) / _MILLION


Prices = Mapping[str, Price]


def read_prices(models: Mapping[str, Any]) -> dict[str, Price]:
    """The prices in a `models` table, as opencode.json and models.dev write it; models without one are left out."""
    found = {str(name): read_price(entry) for name, entry in models.items()}
    return {name: price for name, price in found.items() if price is not None}


def read_price(model: object) -> Price | None:
    """The price of one model, None where it has none. opencode itself writes `cache.read` for `cache_read`."""
    cost = model.get("cost") if isinstance(model, dict) else None
    if not isinstance(cost, dict):
        return None
    cache = cost.get("cache")
    nested = cache if isinstance(cache, dict) else {}
    plain = {"cache_read": nested.get("read"), "cache_write": nested.get("write"), **cost}
    fields = ("input", "output", "cache_read", "cache_write")
    return Price(*(float(value) if isinstance(value := plain.get(name), int | float) else 0.0 for name in fields))


def read_catalogue(printed: str) -> dict[str, dict[str, Price]]:
    """The prices of each provider's models in what `opencode models --verbose` prints."""
    found: dict[str, dict[str, Price]] = {}
    decoder = json.JSONDecoder()
    for match in _MODEL.finditer(printed):
        try:
            model, _ = decoder.raw_decode(printed, match.end())
        except ValueError:
            continue
        price = read_price(model)
        if price is not None:
            found.setdefault(match[1], {})[match[2]] = price
    return found


def price_of(prices: Prices, *models: str) -> Price | None:
    """The price of the first of `models` that has one: by its name, or by a longer one of which that is the beginning
    (`gpt-x-2026-01-01`). Else the highest of all, lest an unknown name be for nothing; None where no price is known.
    """
    for model in models:
        fits = [name for name in prices if model == name or model.startswith(f"{name}-")]
        if model and fits:
            return prices[max(fits, key=len)]
    return max(prices.values(), key=lambda price: price.output + price.input, default=None)
