"""Whom the gateway serves, what the agent's configuration says instead, and what models cost."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.gateway.prices import Price, Usage, price_of, read_catalogue
from jobs.gateway.providers import Arrangement, ConfigBroken, arrange

KEY = "sk-0123456789"
COMPATIBLE = "@ai-sdk/openai-compatible"


def arranged(config: Any, home: Path, *names: str, **environ: str) -> Arrangement:
    text = config if config is None or isinstance(config, str) else json.dumps(config)
    return arrange(text, names, environ, home)


def provider(npm: str = COMPATIBLE, **options: object) -> dict[str, object]:
    return {"provider": {"acme": {"npm": npm, "options": {"baseURL": "https://llm.example.org/v1/", **options}}}}


def test_a_key_leaves_the_configuration(tmp_path: Path) -> None:
    made = arranged(provider(apiKey=KEY, chunkTimeout=5), tmp_path)
    served = made.providers["acme"]
    assert (served.style, served.base_url) == ("openai", "https://llm.example.org/v1")
    assert served.headers == {"authorization": f"Bearer {KEY}"}
    config = made.config_for("http://127.0.0.1:9", "token")
    assert config is not None
    told = {"baseURL": "http://127.0.0.1:9/acme", "apiKey": "token", "chunkTimeout": 5}
    assert config["provider"]["acme"]["options"] == told
    assert made.handed == []
    assert KEY not in repr(made)


def test_comments_variables_and_files_are_understood(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    text = """{
        // where the model is
        "provider": {"acme": {"npm": "@ai-sdk/anthropic", "options": {
            "baseURL": "{env:ADDRESS}/v1", "apiKey": "{file:key}", /* and */ "headers": {"x-team": "{env:TEAM}"},
        }}},
    }"""
    made = arranged(text, tmp_path, ADDRESS="http://llm:8080", TEAM="blue")
    served = made.providers["acme"]
    assert (served.style, served.base_url) == ("anthropic", "http://llm:8080/v1")
    assert served.headers == {"x-api-key": KEY, "x-team": "blue"}
    assert made.secrets == [KEY], "what is no credential is no secret: answers may have it"


def test_a_variable_that_is_known_makes_a_provider(tmp_path: Path) -> None:
    made = arranged(None, tmp_path, "ANTHROPIC_API_KEY", "LANG", ANTHROPIC_API_KEY=KEY, LANG="C", OPENAI_API_KEY="no")
    assert list(made.providers) == ["anthropic"]
    assert made.providers["anthropic"].base_url == "https://api.anthropic.com/v1"
    assert made.env == {"LANG": "C"}
    assert made.handed == ["LANG"]
    config = made.config_for("http://127.0.0.1:9", "token")
    assert config == {
        "provider": {"anthropic": {"options": {"baseURL": "http://127.0.0.1:9/anthropic", "apiKey": "token"}}}
    }


def test_a_server_without_a_key_is_served_too(tmp_path: Path) -> None:
    assert arranged(provider(), tmp_path).providers["acme"].headers == {}


@pytest.mark.parametrize(
    ("config", "handed"),
    [
        (provider("@ai-sdk/google", apiKey=KEY), ["opencode.json: provider.acme.options.apiKey"]),
        ({"mcp": {"x": {"environment": {"TOKEN": KEY}}}}, ["opencode.json: mcp.x.environment"]),
        ({"mcp": {"x": {"headers": {"Authorization": KEY}}}}, ["opencode.json: mcp.x.headers"]),
        ({"agent": {"a": {"maxTokens": 5, "permission": {}}}}, []),
        (provider("@ai-sdk/google", apiKey="{env:NOT_HANDED}"), []),
    ],
)
def test_what_cannot_be_kept_is_named(tmp_path: Path, config: Any, handed: list[str]) -> None:
    assert arranged(config, tmp_path).handed == handed


def test_a_model_with_an_address_of_its_own_is_left_alone(tmp_path: Path) -> None:
    """Else the token would go there."""
    config: Any = provider(apiKey=KEY)
    config["provider"]["acme"]["models"] = {"m": {"provider": {"api": "https://elsewhere.example.org"}}}
    made = arranged(config, tmp_path)
    assert made.providers == {}
    assert made.handed == ["opencode.json: provider.acme.options.apiKey"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"provider":'])
def test_what_cannot_be_read_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigBroken, match=r"^opencode\.json "):
        arranged(text, tmp_path)


@pytest.mark.parametrize("value", [None, 7, "x", [], {"acme": 7}, {"acme": {"options": 7, "models": 7}}])
def test_odd_values_raise_nothing(tmp_path: Path, value: Any) -> None:
    assert arranged({"provider": value}, tmp_path).providers == {}


def test_prices() -> None:
    prices = {"big": Price(10, 20), "big-mini": Price(1, 2), "old": Price(5, 5)}
    assert price_of(prices, "big") == Price(10, 20)
    assert price_of(prices, "big-mini-2026-01-01") == Price(1, 2)
    assert price_of(prices, "bigger") == Price(10, 20), "an unknown one is taken for the dearest"
    assert price_of({}, "big") is None
    assert Price(1, 2, 0.1, 3).of(Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000)) == pytest.approx(6.1)


def test_opencodes_own_list() -> None:
    model = {"id": "m", "cost": {"input": 3, "output": 15, "cache": {"read": 0.3, "write": 3.75}}}
    printed = f"acme/m\n{json.dumps(model, indent=2)}\nacme/a/b:free\n{{}}\nnoise\nother/x\n{{broken"
    assert read_catalogue(printed) == {"acme": {"m": Price(3, 15, 0.3, 3.75)}}
