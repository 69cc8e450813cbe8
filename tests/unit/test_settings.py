"""Settings: what is read, and from where; the refusals are in test_settings_refused.py."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from models.reading import TABLE_KEYS, environment_names
from models.settings import Settings, load

ROOT = Path(__file__).parents[2]
NAMES = environment_names([name for name in Settings.model_fields if name not in TABLE_KEYS])

Write = Callable[[str], dict[str, str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a kugetsu.toml in a home of its own and gives the environment that leads there."""

    def put(toml: str) -> dict[str, str]:
        (tmp_path / "kugetsu.toml").write_text(toml, encoding="utf-8")
        return {"KUGETSU_HOME": str(tmp_path)}

    return put


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    read = load({"HOME": str(tmp_path)})
    assert read.model_dump() == {
        "home": tmp_path / ".kugetsu",
        "host": "127.0.0.1",
        "port": 8420,
        "public_url": "http://127.0.0.1:8420",
        "trusted_proxies": (),
        "database_url": None,
        "gitea_url": None,
        "gitea_token": None,
        "webhook_secret": (),
        "admin_token": None,
        "oauth_client_id": None,
        "oauth_client_secret": None,
        "admin_users": frozenset(),
        "repos": ("*",),
        "webhooks": "auto",
        "allow_users": frozenset(),
        "max_concurrent_agents": 3,
        "max_agents_per_repo": None,
        "max_attempts": 3,
        "queue_limit": 100,
        "queue_timeout": timedelta(hours=24),
        "agent_command": "opencode",
        "agent_runner": "process",
        "agent_timeout": timedelta(hours=1),
        "agent_stall_timeout": timedelta(minutes=10),
        "agent_start_timeout": timedelta(minutes=2),
        "agent_memory": 4 * 1024**3,
        "agent_processes": 2000,
        "agent_cpu_time": timedelta(hours=4),
        "sandbox_paths": (),
        "agent_env": (),
        "model": None,
        "max_tokens_per_job": None,
        "max_cost_per_job": None,
        "max_tokens_per_issue": None,
        "max_cost_per_issue": None,
        "max_tokens_per_repo_month": None,
        "max_cost_per_repo_month": None,
        "max_tokens_per_month": None,
        "max_cost_per_month": None,
        "sandbox": "auto",
        "temp_dir": None,
        "verbosity": "default",
        "reconcile_interval": timedelta(seconds=30),
        "retention_days": 7,
        "notify": (),
        "log_format": "text",
        "log_level": "info",
        "servers": {},
        "notices": {},
    }


def test_every_setting_can_come_from_the_environment(tmp_path: Path) -> None:
    read = load(
        {
            "HOME": "/home/ann",
            "KUGETSU_HOME": str(tmp_path),
            "KUGETSU_HOST": "::1",
            "KUGETSU_PORT": " 9000 ",
            "KUGETSU_DATABASE_URL": "postgresql://kugetsu:pw@db/kugetsu",
            "KUGETSU_GITEA_URL": "https://gitea.example.com/",
            "KUGETSU_GITEA_TOKEN": "t0ken",
            "KUGETSU_WEBHOOK_SECRET": "new, old,",
            "KUGETSU_ADMIN_TOKEN": "admin",
            "KUGETSU_REPOS": "acme/*, !acme/secret",
            "KUGETSU_ALLOW_USERS": "Ann, @bob",
            "KUGETSU_MAX_CONCURRENT_AGENTS": "8",
            "KUGETSU_MAX_AGENTS_PER_REPO": "2",
            "KUGETSU_MAX_ATTEMPTS": "1",
            "KUGETSU_QUEUE_LIMIT": "7",
            "KUGETSU_QUEUE_TIMEOUT": "90s",
            "KUGETSU_AGENT_COMMAND": "/opt/agent",
            "KUGETSU_AGENT_RUNNER": "server",
            "KUGETSU_AGENT_TIMEOUT": "2h",
            "KUGETSU_AGENT_STALL_TIMEOUT": "5m",
            "KUGETSU_AGENT_START_TIMEOUT": "0.5s",
            "KUGETSU_AGENT_ENV": "OPENAI_API_KEY,http_proxy",
            "KUGETSU_MODEL": "openrouter/qwen/qwen3-coder:free",
            "KUGETSU_MAX_TOKENS_PER_JOB": "none",
            "KUGETSU_MAX_COST_PER_JOB": "2.50",
            "KUGETSU_SANDBOX": "NONE",
            "KUGETSU_TEMP_DIR": "~/tmp",
            "KUGETSU_VERBOSITY": "quiet",
            "KUGETSU_RECONCILE_INTERVAL": "1m",
            "KUGETSU_RETENTION_DAYS": "30",
            "KUGETSU_NOTIFY": "tgram://a/b,mailto://c",
            "KUGETSU_LOG_FORMAT": "json",
            "KUGETSU_LOG_LEVEL": "Debug",
        }
    )
    assert (read.home, read.host, read.port, read.public_url) == (tmp_path, "::1", 9000, "http://[::1]:9000")
    assert (read.gitea_url, read.database_url) == (
        "https://gitea.example.com",
        "postgresql://kugetsu:pw@db/kugetsu",
    )
    assert [secret.get_secret_value() for secret in read.webhook_secret] == ["new", "old"]
    assert (read.repos, read.allow_users) == (("acme/*", "!acme/secret"), frozenset({"ann", "bob"}))
    assert (read.max_concurrent_agents, read.max_agents_per_repo, read.max_attempts) == (8, 2, 1)
    assert (read.queue_limit, read.queue_timeout) == (7, timedelta(seconds=90))
    assert (read.agent_command, read.agent_runner) == ("/opt/agent", "server")
    assert read.agent_timeout == timedelta(hours=2)
    assert read.agent_stall_timeout == timedelta(minutes=5)
    assert read.agent_start_timeout == timedelta(milliseconds=500)
    assert read.agent_env == ("OPENAI_API_KEY", "http_proxy")
    assert (read.model, read.max_tokens_per_job, read.max_cost_per_job) == (
        "openrouter/qwen/qwen3-coder:free",
        None,
        2.5,
    )
    assert (read.sandbox, read.temp_dir, read.verbosity) == ("none", Path("/home/ann/tmp"), "quiet")
    assert (read.reconcile_interval, read.retention_days) == (timedelta(minutes=1), 30)
    assert read.notify == ("tgram://a/b", "mailto://c")
    assert (read.log_format, read.log_level) == ("json", "debug")


def test_the_file_holds_lists_numbers_and_servers(write: Write) -> None:
    environ = write("""
        port = 9000
        repos = ["acme/*", "!acme/secret"]
        queue_timeout = "10m"
        max_cost_per_job = 3
        [servers.codeberg]
        url = "https://codeberg.example.org/"
        token = "abc"
        webhook_secret = ["one", "two"]
    """)
    read = load(environ)
    assert (read.port, read.queue_timeout, read.max_cost_per_job) == (9000, timedelta(minutes=10), 3.0)
    assert read.repos == ("acme/*", "!acme/secret")
    server = read.servers["codeberg"]
    assert (server.name, server.url) == ("codeberg", "https://codeberg.example.org")
    assert server.token is not None
    assert server.token.get_secret_value() == "abc"
    assert [secret.get_secret_value() for secret in server.webhook_secrets] == ["one", "two"]
    assert set(read.servers) == {"codeberg"}


def test_the_environment_wins_over_the_file_and_an_empty_value_does_not(write: Write) -> None:
    environ = write('port = 9000\nmodel = "a/b"\nmax_tokens_per_job = 5\nverbosity = ""')
    read = load({**environ, "KUGETSU_PORT": "9001", "KUGETSU_MODEL": " ", "KUGETSU_MAX_TOKENS_PER_JOB": "none"})
    assert (read.port, read.model, read.max_tokens_per_job, read.verbosity) == (9001, "a/b", None, "default")


def test_the_file_may_lie_elsewhere_and_then_may_say_where_home_is(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('home = "~/data"', encoding="utf-8")
    assert load({"HOME": "/home/ann", "KUGETSU_CONFIG": str(file)}).home == Path("/home/ann/data")


def test_the_process_environment_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUGETSU_PORT", "1")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("HOME", str(tmp_path / "wrong"))
    assert load({"HOME": str(tmp_path)}).port == 8420
    assert load({"HOME": str(tmp_path)}).home == tmp_path / ".kugetsu"
    assert load({}).home != tmp_path / "wrong" / ".kugetsu"
    assert Settings(home=tmp_path).port == 8420


def test_the_default_server_is_made_of_the_three_plain_settings(tmp_path: Path) -> None:
    read = load(
        {
            "HOME": str(tmp_path),
            "KUGETSU_GITEA_URL": "http://127.0.0.1:3000/",
            "KUGETSU_GITEA_TOKEN": "t",
            "KUGETSU_WEBHOOK_SECRET": "s",
        }
    )
    server = read.servers["gitea"]
    assert (server.name, server.url) == ("gitea", "http://127.0.0.1:3000")
    assert (server.token, server.webhook_secrets) == (read.gitea_token, read.webhook_secret)


def test_a_secret_alone_lets_the_default_server_be_heard(tmp_path: Path) -> None:
    server = load({"HOME": str(tmp_path), "KUGETSU_WEBHOOK_SECRET": "s"}).servers["gitea"]
    assert (server.url, server.token, len(server.webhook_secrets)) == ("", None, 1)


def test_the_plain_settings_add_to_a_table_of_the_default_server(write: Write) -> None:
    environ = write('[servers.gitea]\nurl = "https://gitea.example.com"\ntoken = "old"')
    server = load({**environ, "KUGETSU_GITEA_TOKEN": "new"}).servers["gitea"]
    assert server.url == "https://gitea.example.com"
    assert server.token is not None
    assert server.token.get_secret_value() == "new"


def test_what_is_printed_of_the_settings_shows_no_secret(tmp_path: Path) -> None:
    read = load(
        {
            "HOME": str(tmp_path),
            "KUGETSU_DATABASE_URL": "postgresql://kugetsu:hunter2@db/kugetsu",
            "KUGETSU_GITEA_TOKEN": "hunter2",
            "KUGETSU_WEBHOOK_SECRET": "hunter2",
            "KUGETSU_ADMIN_TOKEN": "hunter2",
            "KUGETSU_NOTIFY": "tgram://hunter2/1",
        }
    )
    assert "hunter2" not in repr(read) + str(read)


def test_settings_do_not_change(tmp_path: Path) -> None:
    read = Settings(home=tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        read.port = 1


def example() -> list[tuple[str, str, str]]:
    """The sample file's entries: the comment above, the name, the value."""
    lines = (ROOT / "deploy" / "kugetsu.env.example").read_text(encoding="utf-8").splitlines()
    return [
        (above, name.removeprefix("#"), value)
        for above, line in pairwise(lines)
        for name, equals, value in [line.partition("=")]
        if equals and name.startswith("#KUGETSU_")
    ]


def test_the_sample_file_names_every_setting_once_and_explains_it() -> None:
    entries = example()
    assert sorted(name for _, name, _ in entries) == sorted(NAMES)
    assert [above for above, _, _ in entries if not above.startswith("# ")] == []


def test_the_sample_file_shows_the_defaults(tmp_path: Path) -> None:
    environ = {name: value for _, name, value in example()}
    assert load({"HOME": str(tmp_path), **environ}) == load({"HOME": str(tmp_path)})
    required = {name for name, value in environ.items() if not value}
    empty = {field for field, value in load({"HOME": str(tmp_path)}).model_dump().items() if not value}
    assert required - {"KUGETSU_CONFIG"} <= {f"KUGETSU_{field.upper()}" for field in empty}
