"""Every setting of the service, as one frozen value, and how it is read.

`load` is the way in for the running service: it reads the mapping it is given (the environment, handed
over by the command line) and `kugetsu.toml`, and nothing else. The description of a field says what would be
right, and ends the sentence a person gets when the value is wrong.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from models import side_by_side, values
from models.notices import Notice
from models.patterns import repo_allowed
from models.reading import (
    DEFAULT_HOME,
    PREFIX,
    TABLE_KEYS,
    SettingsError,
    expand,
    file_of,
    read_environment,
    read_file,
    shortened,
)
from models.side_by_side import DEFAULT_SERVER

__all__ = [
    "DEFAULT_SERVER",
    "Server",
    "Settings",
    "SettingsError",
    "allowed_by_name",
    "given",
    "load",
    "repo_allowed",
    "usable",
]

TABLE_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"

_URL = "an address like https://gitea.example.com, with no login, query or fragment in it"
_TOKEN = "an access token of the bot's account: no spaces, no line breaks, ASCII only"  # noqa: S105 - a description
_SECRETS = "the secret typed into the webhook's form; several, comma-separated, while changing it"
_DURATION = "a duration like 90s, 10m or 24h, at most a year"
_ONE_UP = "a whole number, 1 or more"
_COUNT = f"{_ONE_UP}, or none"
_LOGINS = "logins, comma-separated"
_REPOS = "patterns OWNER/NAME like acme/*, to leave out !acme/secret, or *"
_AMOUNT = "an amount above 0, in US dollars, or none"


class Server(BaseModel):
    """One Gitea or Forgejo. Without a `url` (empty) it can be heard but not answered. `repos` None: as everywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=TABLE_NAME)]
    url: Annotated[values.WebUrl | Literal[""], Field(description=_URL)] = ""
    token: Annotated[values.Token | None, Field(description=_TOKEN)] = None
    webhook_secrets: Annotated[values.Secrets, Field(alias="webhook_secret", description=_SECRETS)] = ()
    repos: Annotated[values.RepoPatterns | None, Field(description=_REPOS)] = None
    allow_users: Annotated[values.Logins, Field(description=_LOGINS)] = frozenset()


class Settings(BaseSettings):
    """What the README lists under Settings, in the same order; never read anew while running."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Annotated[Path, Field(description="a directory")]
    host: Annotated[values.HostName, Field(description="a host name or IP address to listen on")] = "127.0.0.1"
    port: Annotated[values.Port, Field(description="a port, 1 to 65535, or 0 for any free one")] = 8420
    public_url: Annotated[values.WebUrl, Field(description=_URL)] = Field(
        default_factory=lambda read: _address(read["host"], read["port"])
    )
    trusted_proxies: Annotated[
        values.Networks, Field(description="addresses or networks such as 10.0.0.0/8, comma-separated")
    ] = ()
    database_url: Annotated[
        values.PostgresUrl | None,
        Field(description="an address like postgresql://user@host/kugetsu", repr=False),
    ] = None
    gitea_url: Annotated[values.WebUrl | None, Field(description=_URL)] = None
    gitea_token: Annotated[values.Token | None, Field(description=_TOKEN)] = None
    webhook_secret: Annotated[values.Secrets, Field(description=_SECRETS)] = ()
    admin_token: Annotated[
        values.Token | None, Field(description="any long random text: no spaces, no line breaks, ASCII only")
    ] = None
    oauth_client_id: Annotated[
        values.Word | None, Field(description="the client id of an OAuth2 application in Gitea")
    ] = None
    oauth_client_secret: Annotated[
        values.Token | None, Field(description="that application's secret: no spaces, no line breaks, ASCII only")
    ] = None
    admin_users: Annotated[values.Logins, Field(description=_LOGINS)] = frozenset()
    repos: Annotated[values.RepoPatterns, Field(description=_REPOS)] = ("*",)
    webhooks: Annotated[Literal["auto", "manual", "off"], values.Keyword, Field(description="auto, manual or off")] = (
        "auto"
    )
    allow_users: Annotated[values.Logins, Field(description=_LOGINS)] = frozenset()
    max_concurrent_agents: Annotated[values.Count, Field(description=_ONE_UP)] = 3
    max_agents_per_repo: Annotated[values.CountOrNone, Field(description=_COUNT)] = None
    max_attempts: Annotated[values.Count, Field(description=_ONE_UP)] = 3
    queue_limit: Annotated[values.Count, Field(description=_ONE_UP)] = 100
    queue_timeout: Annotated[values.Duration, Field(description=_DURATION)] = timedelta(hours=24)
    agent_command: Annotated[values.Word, Field(description="a command on PATH, or a path")] = "opencode"
    agent_runner: Annotated[Literal["process", "server"], values.Keyword, Field(description="process or server")] = (
        "process"
    )
    agent_timeout: Annotated[values.Duration, Field(description=_DURATION)] = timedelta(hours=1)
    agent_stall_timeout: Annotated[values.Duration, Field(description=_DURATION)] = timedelta(minutes=10)
    agent_start_timeout: Annotated[values.Duration, Field(description=_DURATION)] = timedelta(minutes=2)
    agent_memory: Annotated[values.SizeOrNone, Field(description="64MiB, 4GiB or more, or none")] = 4 << 30
    agent_processes: Annotated[values.CountOrNone, Field(description=f"{_ONE_UP}, or none")] = 2000
    agent_cpu_time: Annotated[values.Duration, Field(description=_DURATION)] = timedelta(hours=4)
    sandbox_paths: Annotated[
        values.ShownPaths, Field(description="absolute paths of files or folders, comma-separated")
    ] = ()
    agent_env: Annotated[
        values.VariableNames,
        Field(description="names (not values) of variables, comma-separated, none of them KUGETSU_..."),
    ] = ()
    model: Annotated[values.ModelName | None, Field(description="provider/model, as opencode names it")] = None
    max_tokens_per_job: Annotated[values.CountOrNone, Field(description=_COUNT)] = None
    max_cost_per_job: Annotated[values.AmountOrNone, Field(description=_AMOUNT)] = None
    max_tokens_per_issue: Annotated[values.CountOrNone, Field(description=_COUNT)] = None
    max_cost_per_issue: Annotated[values.AmountOrNone, Field(description=_AMOUNT)] = None
    max_tokens_per_repo_month: Annotated[values.CountOrNone, Field(description=_COUNT)] = None
    max_cost_per_repo_month: Annotated[values.AmountOrNone, Field(description=_AMOUNT)] = None
    max_tokens_per_month: Annotated[values.CountOrNone, Field(description=_COUNT)] = None
    max_cost_per_month: Annotated[values.AmountOrNone, Field(description=_AMOUNT)] = None
    sandbox: Annotated[Literal["auto", "bwrap", "none"], values.Keyword, Field(description="auto, bwrap or none")] = (
        "auto"
    )
    temp_dir: Annotated[Path | None, Field(description="a directory")] = None
    verbosity: Annotated[
        Literal["quiet", "default", "verbose"], values.Keyword, Field(description="quiet, default or verbose")
    ] = "default"
    reconcile_interval: Annotated[
        values.Duration, Field(ge=timedelta(seconds=1), description="a duration like 10s, 30s or 5m, at least 1s")
    ] = timedelta(seconds=30)
    retention_days: Annotated[values.Count, Field(description=_ONE_UP)] = 7
    notify: Annotated[values.Words, Field(description="notification addresses, comma-separated", repr=False)] = ()
    log_format: Annotated[Literal["text", "json"], values.Keyword, Field(description="text or json")] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        values.Keyword,
        Field(description="debug, info, warning, error or critical"),
    ] = "info"
    servers: Annotated[
        Mapping[str, Server],
        Field(description="tables [servers.NAME], NAME in lower-case letters, digits, dot, dash or underscore"),
    ] = {}
    notices: Annotated[
        Mapping[Annotated[str, Field(pattern=TABLE_NAME)], Notice],
        Field(description="tables [notices.NAME], each with either to, or webhook and secret"),
    ] = {}

    def repos_on(self, server: str) -> Sequence[str]:
        """The patterns of the repositories of this server that may be worked on: its own, or those for all servers."""
        own = self.servers[server].repos if server in self.servers else None
        return self.repos if own is None else own

    def allows(self, server: str, repo: str) -> bool:
        """Whether this repository ("owner/name") of this server may be worked on."""
        return repo_allowed(self.repos_on(server), repo)

    def named_on(self, server: str) -> frozenset[str]:
        """The logins of this server that may ask without the right to write, in lower case. Somebody of the same login
        on another server is somebody else: what is set for all is meant for the default server.
        """
        own = self.servers[server].allow_users if server in self.servers else frozenset()
        return own | self.allow_users if server == DEFAULT_SERVER else own

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over: the library's own source would read the process environment."""
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans(cls, value: object) -> object:
        """No setting is a yes or a no, and `port = true` would otherwise be read as 1."""
        if isinstance(value, bool):
            raise ValueError("not a boolean")  # noqa: TRY004 - pydantic reports ValueError, not TypeError
        return value

    @model_validator(mode="before")
    @classmethod
    def _merge_servers(cls, read: dict[str, Any]) -> dict[str, Any]:
        """Name each server after its table; the three plain settings make, or add to, the default one."""
        tables = read.get("servers", {})
        if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping | Server) for table in tables.values()):
            return read
        merged: dict[str, object] = {
            name: table if isinstance(table, Server) else {**table, "name": name} for name, table in tables.items()
        }
        plain = {"url": "gitea_url", "token": "gitea_token", "webhook_secret": "webhook_secret"}
        given = {key: read[setting] for key, setting in plain.items() if read.get(setting)}
        beside = merged.get(DEFAULT_SERVER, {})
        if given and isinstance(beside, Mapping):
            merged[DEFAULT_SERVER] = {**beside, **given, "name": DEFAULT_SERVER}
        return {**read, "servers": merged}


def load(environ: Mapping[str, str]) -> Settings:
    """Read all settings from `environ` and `kugetsu.toml`; the environment wins, empty counts as not set.

    The file is the one `KUGETSU_CONFIG` names, else `kugetsu.toml` in `KUGETSU_HOME` if there is one.
    Raises SettingsError.
    """
    from_environment = read_environment(environ, _plain_settings())
    from_file = read_file(environ, _plain_settings())
    read: dict[str, Any] = {"home": DEFAULT_HOME, **from_file, **from_environment}
    for setting in ("home", "temp_dir"):
        if isinstance(read.get(setting), str):
            read[setting] = expand(read[setting], environ)
    try:
        settings = Settings(**read)
    except ValidationError as error:
        place = _setting_of(error)
        in_file = place[0] in from_file and place[0] not in from_environment
        message = _complaint(place, str(file_of(environ)) if in_file else "environment", error)
    else:
        side_by_side.check(settings)
        return settings
    raise SettingsError(message)


def usable(servers: Mapping[str, Server]) -> dict[str, Server]:
    """Those that can be worked with: they have an address and a token."""
    return {name: server for name, server in servers.items() if server.url and server.token}


def given(environ: Mapping[str, str]) -> frozenset[str]:
    """The plain settings that the environment or the file has, by their names in the file. Raises SettingsError."""
    names = _plain_settings()
    return frozenset(read_environment(environ, names)) | frozenset(read_file(environ, names))


def allowed_by_name(patterns: Sequence[str]) -> list[str]:
    """The repositories that `patterns` name as they are, and that may be worked on."""
    plain = [pattern for pattern in patterns if not pattern.startswith("!") and not set(pattern) & set("*?[")]
    real = [name for name in plain if not set(name.split("/")) & {".", ".."}]
    return [name for name in real if repo_allowed(patterns, name)]


def _plain_settings() -> tuple[str, ...]:
    return tuple(name for name in Settings.model_fields if name not in TABLE_KEYS)


def _address(host: str, port: int) -> str:
    """Where we are reached if nobody says otherwise. It cannot be known where the port is chosen at the start."""
    if port == 0:
        raise SettingsError(
            "KUGETSU_PORT is 0, which takes any free port, so nobody can be told the address; "
            "right would be a fixed port, or to set KUGETSU_PUBLIC_URL, too"
        )
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _setting_of(error: ValidationError) -> tuple[str, ...]:
    """Where the first mistake is: a setting, or `servers`, NAME, key. What pydantic appends is cut off."""
    place = [str(part) for part in error.errors()[0]["loc"]]
    return tuple(place[:3] if place[0] in TABLE_KEYS else place[:1])


def _complaint(place: tuple[str, ...], where: str, error: ValidationError) -> str:
    field = Settings.model_fields[place[0]]
    if place[-1] in TABLE_KEYS.get(place[0], ()) and len(place) > 2:  # noqa: PLR2004 - kind of table, name, key
        of_table: type[BaseModel] = Server if place[0] == "servers" else Notice
        field = {f.alias or n: f for n, f in of_table.model_fields.items()}[place[-1]]
    name = PREFIX + place[0].upper() if where == "environment" else ".".join(place).removesuffix(".name")
    shown = "" if _is_secret(place) else f" {shortened(repr(error.errors()[0]['input']))}"
    return f"{shortened(name)} ({where}): the value{shown} is wrong; right would be {field.description}"


def _is_secret(place: Sequence[str]) -> bool:
    """Whether the value must not be shown; addresses count, some have a password inside."""
    words = place[-1].split("_")
    return place[0] in TABLE_KEYS or not {"token", "secret", "url", "notify"}.isdisjoint(words)
