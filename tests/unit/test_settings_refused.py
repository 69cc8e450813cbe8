"""Settings that are wrong: the one line a person gets."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.reading import environment_names
from models.settings import Settings, SettingsError, load

NAMES = environment_names([name for name in Settings.model_fields if name != "servers"])

Write = Callable[[str], dict[str, str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a kugetsu.toml in a home of its own and gives the environment that leads there."""

    def put(toml: str) -> dict[str, str]:
        (tmp_path / "kugetsu.toml").write_text(toml, encoding="utf-8")
        return {"KUGETSU_HOME": str(tmp_path)}

    return put


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return message


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("KUGETSU_PORT", "84x", "a port"),
        ("KUGETSU_PORT", "65536", "a port"),
        ("KUGETSU_HOST", "http://x", "host name"),
        ("KUGETSU_PUBLIC_URL", "kugetsu.example.com", "an address like"),
        ("KUGETSU_DATABASE_URL", "mysql://x/y", "postgresql://"),
        ("KUGETSU_GITEA_URL", "https://user:pw@gitea.example.com", "no login"),
        ("KUGETSU_GITEA_URL", "https://gitea.example.com:99999", "an address like"),
        ("KUGETSU_GITEA_TOKEN", "two words", "no spaces"),
        ("KUGETSU_REPOS", "acme", "OWNER/NAME"),
        ("KUGETSU_REPOS", "a/b/c", "OWNER/NAME"),
        ("KUGETSU_ALLOW_USERS", "ann bob", "comma-separated"),
        ("KUGETSU_MAX_CONCURRENT_AGENTS", "0", "1 or more"),
        ("KUGETSU_MAX_TOKENS_PER_JOB", "lots", "or none"),
        ("KUGETSU_MAX_COST_PER_JOB", "nan", "or none"),
        ("KUGETSU_QUEUE_TIMEOUT", "24", "like 90s, 10m or 24h"),
        ("KUGETSU_QUEUE_TIMEOUT", "9000h", "at most a year"),
        ("KUGETSU_RECONCILE_INTERVAL", "1ms", "at least 1s"),
        ("KUGETSU_RECONCILE_INTERVAL", "0.5s", "at least 1s"),
        ("KUGETSU_AGENT_RUNNER", "thread", "process or server"),
        ("KUGETSU_AGENT_MEMORY", "4G", "64MiB, 4GiB or more, or none"),
        ("KUGETSU_AGENT_MEMORY", "1MiB", "64MiB, 4GiB or more, or none"),
        ("KUGETSU_AGENT_PROCESSES", "0", "or none"),
        ("KUGETSU_SANDBOX_PATHS", "/opt/jdk, tools", "absolute paths"),
        ("KUGETSU_SANDBOX_PATHS", "/", "absolute paths"),
        ("KUGETSU_AGENT_ENV", "KEY=value", "names (not values)"),
        ("KUGETSU_AGENT_ENV", "kugetsu_gitea_token", "none of them KUGETSU_"),
        ("KUGETSU_MODEL", "--dangerous/flag", "provider/model"),
        ("KUGETSU_MODEL", "gpt", "provider/model"),
        ("KUGETSU_SANDBOX", "docker", "auto, bwrap or none"),
        ("KUGETSU_VERBOSITY", "loud", "quiet, default or verbose"),
        ("KUGETSU_LOG_FORMAT", "xml", "text or json"),
        ("KUGETSU_LOG_LEVEL", "chatty", "debug, info"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_is_right(name: str, value: str, right: str) -> None:
    message = refusal({"HOME": "/nonexistent", name: value})
    assert message.startswith(f"{name} (environment): ")
    assert right in message


@pytest.mark.parametrize(
    ("toml", "start", "right"),
    [
        ("port = true", "port", "a port"),
        ('queue_timeout = "3d"', "queue_timeout", "a duration"),
        ("queue_timeout = 3", "queue_timeout", "a duration"),
        ("repos = 3", "repos", "OWNER/NAME"),
        ('servers = "x"', "servers", "[servers.NAME]"),
        ("[servers]\nx = 'hunter2'", "servers.x", "[servers.NAME]"),
        ('[servers."../up"]\nurl = "https://x.example"', "servers.../up", "lower-case"),
        ('[servers.x]\nurl = "ftp://x.example"', "servers.x.url", "an address like"),
        ('[servers.x]\ntoken = "a b"', "servers.x.token", "no spaces"),
        ("[servers.x]\nwebhook_secret = 7", "servers.x.webhook_secret", "the secret"),
    ],
)
def test_a_wrong_value_in_the_file_is_named_with_the_file(write: Write, toml: str, start: str, right: str) -> None:
    environ = write(toml)
    message = refusal(environ)
    assert message.startswith(f"{start} ({environ['KUGETSU_HOME']}/kugetsu.toml): ")
    assert "hunter2" not in message
    assert right in message


@pytest.mark.parametrize(
    ("toml", "environ", "message"),
    [
        ("", {"KUGETSU_PROT": "1"}, "KUGETSU_PROT (environment) is not a setting; the nearest one is KUGETSU_PORT"),
        ("", {"KUGETSU_SERVERS": "{}"}, "KUGETSU_SERVERS (environment) is not a setting"),
        ("agent_time = '1h'", {}, "the nearest one is agent_timeout"),
        ("kugetsu_port = 1", {}, "the nearest one is port"),
        ("[servers.x]\nurk = ''", {}, "[servers.x]) is not a setting; the nearest one is url"),
        ("[server.x]", {}, "the nearest one is servers"),
        ("port = = 1", {}, "is not TOML"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_one(
    write: Write, toml: str, environ: dict[str, str], message: str
) -> None:
    assert message in refusal({**write(toml), **environ})


def test_a_file_that_is_named_must_be_there_and_be_readable(tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    assert refusal({"KUGETSU_CONFIG": str(gone)}) == f"KUGETSU_CONFIG (environment) names {gone}, which is not there"
    assert "cannot be read" in refusal({"KUGETSU_CONFIG": str(tmp_path)})
    assert "cannot be read" in refusal({"KUGETSU_HOME": f"/dev/null/\x85\n{'x' * 300}"})
    (tmp_path / "latin.toml").write_bytes(b'model = "\xe9/x"')
    assert "is not TOML" in refusal({"KUGETSU_CONFIG": str(tmp_path / "latin.toml")})


@pytest.mark.parametrize("name", [name for name in NAMES if re.search("TOKEN$|URL$|NOTIFY$", name)])
def test_a_refusal_never_shows_a_secret(name: str) -> None:
    assert "hunter2" not in refusal({"HOME": "/nonexistent", name: "hunter2\x01 pass"})


@given(st.sampled_from(NAMES), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_no_value_ends_in_anything_but_settings_or_one_line(name: str, value: str) -> None:
    try:
        read = load({"HOME": "/nonexistent", name: value})
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1, str(error)  # noqa: PT017 - most values are refused, some are not
    else:
        assert isinstance(read, Settings)
