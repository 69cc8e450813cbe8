"""The model, on the first-start page: which one, how it is reached, and whether it answers the agent."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from pydantic import TypeAdapter, ValidationError

from jobs import opencode
from jobs.doctor import agent, machine
from jobs.known_secrets import secrets_of
from jobs.opencode import AgentMissing
from jobs.redact import Redactor
from models import settings_file, values
from models.checkup import Finding, Level, unknown, wrong
from models.settings import Settings
from webhook.setup.choices import NotChosen

CONFIG: Final = "opencode.json"
_SCHEMA: Final = "https://opencode.ai/config.json"
_OWN_SERVER: Final = "@ai-sdk/openai-compatible"
"""The package, which opencode has with it, that speaks what nearly all servers of models do."""

_ADDRESS: Final[TypeAdapter[str]] = TypeAdapter(values.WebUrl)
_KEY: Final[TypeAdapter[Any]] = TypeAdapter(values.Token)
log = logging.getLogger(__name__)


class ChosenModel(msgspec.Struct, frozen=True):
    """What somebody has typed: `provider/model`, the key and, of a server of their own, its address."""

    model: str = ""
    key: str = ""
    url: str = ""

    def checked(self) -> ChosenModel:
        """Without spaces around it. Raises NotChosen."""
        mine = ChosenModel(self.model.strip(), self.key.strip(), self.url.strip())
        if not values.is_model_name(mine.model):
            raise NotChosen("the model is to be written as provider/model, such as anthropic/claude-sonnet-4-5")
        if mine.key and not _is(_KEY, mine.key):
            raise NotChosen("that is no key: it has spaces, line breaks or letters that no key has")
        if mine.url and not _is(_ADDRESS, mine.url):
            raise NotChosen("the provider's address is to be one like https://llm.example.com/v1")
        return mine

    def config(self) -> str | None:
        """The text of opencode.json; None where nothing has to stand there."""
        if not self.key and not self.url:
            return None
        provider, _, model = self.model.partition("/")
        options = {"apiKey": self.key} if self.key else {}
        entry: dict[str, Any] = {"options": options}
        if self.url:
            options["baseURL"] = self.url.rstrip("/")
            name = urlsplit(self.url).hostname or provider
            entry |= {"npm": _OWN_SERVER, "name": name, "models": {model: {"name": model, "tool_call": True}}}
        return json.dumps({"$schema": _SCHEMA, "provider": {provider: entry}}, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that was asked; `findings` is None as long as it has not answered."""

    chosen: ChosenModel | None = None
    findings: tuple[Finding, ...] | None = None


class ModelTrial:
    """Has the agent ask the model for one word, on a thread, with what is set or chosen; the newest counts."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.now = Asked()

    @property
    def has_config(self) -> bool:
        """Whether somebody has written opencode's configuration already."""
        return (self._settings.home / CONFIG).exists()

    def ask(self, chosen: ChosenModel | None = None) -> None:
        """Begin, and end what is being asked; `chosen` None is what the settings say."""
        asked = self.now = Asked(chosen)
        thread = threading.Thread(target=self._ask, args=[asked], name="first-model")
        self._threads.append(thread)
        thread.start()

    def write(self) -> Path | None:
        """Put what was chosen into opencode.json, where there is none. Raises SettingsError."""
        text = self.now.chosen.config() if self.now.chosen is not None else None
        file = self._settings.home / CONFIG
        if text is None or self.has_config:
            return None
        settings_file.create(file, text)
        return file

    def stop(self) -> None:
        """End what is being asked, and wait for its end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, asked: Asked) -> None:
        try:
            found = self._found(asked)
        except Exception:
            log.exception("the model could not be asked")
            found = (unknown("model", "it could not be asked; the log says why"),)
        if self.now is asked:
            self.now = Asked(asked.chosen, found)

    def _found(self, asked: Asked) -> tuple[Finding, ...]:
        chosen = asked.chosen
        redactor = Redactor(
            [*secrets_of(self._settings, self._environ), *([chosen.key] if chosen and chosen.key else [])]
        )
        with tempfile.TemporaryDirectory(prefix="kugetsu-first-") as folder:
            settings = self._settings if chosen is None else self._as_if(chosen, Path(folder))
            found = self._look(settings, lambda: self._stopping.is_set() or self.now is not asked)
        return tuple(msgspec.structs.replace(each, what=redactor.clean(each.what)) for each in found)

    def _as_if(self, chosen: ChosenModel, home: Path) -> Settings:
        """The settings as they would be; what stands in opencode.json holds where nothing else is chosen."""
        before = self._settings.home / CONFIG
        text = before.read_text(encoding="utf-8") if before.is_file() else chosen.config()
        if text is not None:
            settings_file.create(home / CONFIG, text)
        return self._settings.model_copy(update={"home": home, "model": chosen.model})

    def _look(self, settings: Settings, stop: Callable[[], bool]) -> list[Finding]:
        sandbox, box = machine.box(self._settings)
        if box is None:
            return [sandbox]
        try:
            program = opencode.find(settings.agent_command, path=self._environ.get("PATH", ""))
        except AgentMissing as error:
            return [
                wrong("agent", str(error), why="no worker starts", cure="make opencode, or set KUGETSU_AGENT_COMMAND")
            ]
        found = agent.model(settings, self._environ, program, box, stop=stop)
        if found.level == Level.WRONG:
            found = msgspec.structs.replace(found, cure="name a model below, with its key")
        return [found]


def _is(kind: TypeAdapter[Any], text: str) -> bool:
    try:
        kind.validate_python(text)
    except ValidationError:
        return False
    return True
