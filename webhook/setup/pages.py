"""The pages of the first start: Gitea's address and token, what else there is to choose, and the file that is written.

Beside signing in, this is where the HTTP side itself asks Gitea: there is no worker yet that could.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.doctor import candidate
from jobs.doctor.candidate import Seen
from models import sessions, settings_file
from models import settings as configured
from models.settings import SettingsError
from models.settings_file import Value
from webhook.access import ADMIN, keep_session
from webhook.door import Done, Door, Problem, Visit
from webhook.pages.frame import HEADERS, Frame
from webhook.seals import Seals, key_of
from webhook.setup.choices import Fixed, NotChosen, settings_of, usual_address
from webhook.setup.entrance import PATH, CodePage, Entrance, Pass
from webhook.setup.invitation import Invitation, new_code
from webhook.setup.model import ChosenModel, ModelTrial
from webhook.wiring import Wiring

MOST_TICKS: Final = 200
"""Repositories that can be ticked; with more of them a pattern is the better way."""

log = logging.getLogger(__name__)


class Typed(msgspec.Struct, forbid_unknown_fields=True):
    """Gitea's address and the bot's token, as far as they are typed."""

    url: str = ""
    token: str = ""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


@dataclass(slots=True)
class Draft:
    """What is known so far."""

    seen: Seen | None = None
    token: str = ""


class SetUp:
    """The first start of one service. `end` ends this process, which is then started again with its settings."""

    def __init__(self, wiring: Wiring, *, end: Callable[[], None]) -> None:
        self._wiring = wiring
        self._end = end
        self._fixed = Fixed(wiring.settings, configured.given(wiring.environ))
        self._pass = Pass(new_code())
        self._invitation = Invitation(wiring.settings.home, self._pass.code)
        self._draft = Draft()
        self._trial = ModelTrial(wiring.settings, wiring.environ)

    @property
    def finished(self) -> bool:
        """Whether settings were written."""
        return self._pass.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._invitation.withdraw()
        self._trial.stop()

    def invite(self, address: str) -> None:
        """Say in the terminal where the page is, and the code."""
        self._invitation.tell(address)

    def routes(self, frame: Frame) -> list[BaseRoute]:
        """The addresses below /admin/setup while the service is not set up."""
        seals = Seals(key_of(self._wiring.settings.home))
        entrance = Entrance(self._wiring.settings, seals, self._wiring.database, granted=self._pass)
        door = Door(entrance, frame, self._wiring.database, self._wiring.clock)
        code = CodePage(door, entrance, self._begun)
        return [
            Route(PATH, door.get(self._page)),
            Route(f"{PATH}/code", code.page),
            Route(f"{PATH}/code", code.take, methods=["POST"]),
            Route(f"{PATH}/look", door.post(Typed, self._look), methods=["POST"]),
            Route(f"{PATH}/gitea", door.post(Typed, self._gitea), methods=["POST"]),
            Route(f"{PATH}/other", door.post(Nothing, self._other), methods=["POST"]),
            Route(f"{PATH}/model", door.post(ChosenModel, self._model), methods=["POST"]),
            Route(f"{PATH}/finish", door.post(dict[str, str], self._finish), methods=["POST"]),
            Route(f"{PATH}/done", Starting(frame, self._pass).page),
        ]

    def _begun(self) -> None:
        self._invitation.withdraw()
        self._trial.ask()

    def _page(self, visit: Visit) -> Response:
        draft, fixed = self._draft, self._fixed
        words: dict[str, Any] = {"seen": draft.seen, "fixed": fixed, "typed": draft.seen.url if draft.seen else ""}
        if draft.seen is not None and draft.seen.well:
            url = draft.seen.url
            port = visit.request.scope["server"][1]
            words |= {
                "ticks": draft.seen.repos[:MOST_TICKS],
                "address": usual_address(self._wiring.settings, url, port),
                "asks_where": fixed.asks_where_to_listen(url),
                "model": self._trial.now,
                "has_config": self._trial.has_config,
            }
        return visit.page("setup.html", **words)

    def _look(self, visit: Visit, said: Typed) -> Done:
        """What there is to say of what is typed so far; nothing is kept of it."""
        del visit
        seen = candidate.look(self._fixed.server.url or said.url, said.token)
        return Done({"url": seen.url, "findings": msgspec.to_builtins(seen.findings)}, "Looked.")

    def _gitea(self, visit: Visit, said: Typed) -> Done:
        del visit
        token = self._fixed.token or said.token.strip()
        seen = candidate.look(self._fixed.server.url or said.url, token)
        self._draft.seen, self._draft.token = seen, token
        return Done({"well": seen.well}, "That works." if seen.well else "That does not work yet.")

    def _other(self, visit: Visit, _said: Nothing) -> Done:
        del visit
        self._draft.seen, self._draft.token = None, ""
        return Done({}, "Choose another Gitea, or another token.")

    def _model(self, visit: Visit, said: ChosenModel) -> Done:
        del visit
        try:
            self._trial.ask(said.checked())
        except NotChosen as error:
            raise Problem(400, str(error)) from None
        return Done({"state": "asking"}, "The model is being asked.", 202)

    def _finish(self, visit: Visit, said: dict[str, str]) -> Response:
        seen = self._draft.seen
        if seen is None or not seen.well:
            raise Problem(409, "Gitea's address and the token come first")
        # First, since nothing may fail any more once the settings are there.
        number = sessions.begin(visit.database, ADMIN, sees_all=True, repos=(), now=visit.now)
        try:
            chosen = settings_of(said, seen.url, self._draft.token, self._fixed)
            file = self._write(chosen)
        except (NotChosen, SettingsError) as error:
            raise Problem(409, str(error)) from None
        self._pass.closed = True
        log.info("%s was written: %s", file, ", ".join(chosen))
        answer = visit.page("setup_written.html", file=file, written=chosen, token=chosen.get("admin_token"))
        settings = configured.load(self._wiring.environ)
        keep_session(answer, settings, Seals(key_of(settings.home)), number)
        answer.background = BackgroundTask(self._end)
        return answer

    def _write(self, chosen: dict[str, Value]) -> Path:
        """Both files, or none. Raises SettingsError."""
        if (model := self._trial.now.chosen) is not None and "model" not in self._fixed.names:
            chosen["model"] = model.model
        config = self._trial.write()
        try:
            heading = f"Written by the first start on {datetime.now(UTC):%Y-%m-%d}"
            return settings_file.add(self._wiring.environ, chosen, heading=heading)
        except SettingsError:
            if config is not None:
                config.unlink()
            raise


class Starting:
    """What is shown while this process ends and the next one comes up, at the address that the next one has."""

    def __init__(self, frame: Frame, granted: Pass) -> None:
        self._frame = frame
        self._pass = granted

    async def page(self, request: Request) -> Response:
        """GET /admin/setup/done, for anybody: it says nothing."""
        del request
        if not self._pass.closed:
            return RedirectResponse(PATH, 303, headers=HEADERS)
        text = self._frame.text("setup_starting.html", viewer=None, menu=[], here="", said="")
        return Response(text, headers={**HEADERS, "Connection": "close"}, media_type="text/html")
