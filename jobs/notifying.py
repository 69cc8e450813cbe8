"""Telling people outside Gitea: looks through the log of moves, and sends what comes of it until it has arrived."""

from __future__ import annotations

import logging

from jobs import notice_sentences
from jobs.rounds import Rounds
from jobs.senders import NotSent, sender_of
from jobs.wiring import Wiring
from models import outbox
from models.estimate import Outlook
from models.notices import Event, all_notices
from models.outbox import Told
from models.outlook import outlooks
from models.side_tables import Notification
from models.tables import Job, Server

LOOK_SECONDS = 2.0

log = logging.getLogger(__name__)


class Notifier:
    """A thread of its own, so that a messaging service that hangs keeps nobody's cancel waiting.

    Raises SettingsError for an address that cannot be understood.
    """

    def __init__(self, wiring: Wiring) -> None:
        settings = wiring.settings
        self._wiring = wiring
        self._notices = all_notices(settings.notify, settings.notices)
        self._senders = {name: sender_of(name, notice) for name, notice in self._notices.items()}
        self._rounds = Rounds(wiring, "notifier", self._look, seconds=LOOK_SECONDS)

    def start(self) -> None:
        """Begin, where there is anybody to tell."""
        if self._notices:
            outbox.begin(self._wiring.db)
            self._rounds.start()
        else:
            outbox.end(self._wiring.db)

    def join(self, seconds: float) -> None:
        """Wait for its end, once `stopping` of the wiring is set. What it is sending is sent again by the next one."""
        self._rounds.join(seconds)

    def _look(self) -> None:
        while outbox.gather(self._wiring.db, self._notices, self._say, now=self._wiring.clock()):
            pass
        # One that does not answer gets the rest in the next rounds, one each: the others need not wait for all of it.
        silent: set[str] = set()
        while not self._wiring.stopping.is_set():
            waiting = outbox.take(self._wiring.db, now=self._wiring.clock(), but_to=silent)
            if waiting is None:
                return
            if not self._send(waiting):
                silent.add(waiting.target)

    def _send(self, waiting: Notification) -> bool:
        """Whether its address took it, or is gone."""
        sender = self._senders.get(waiting.target)
        if sender is None:
            outbox.give_up(self._wiring.db, waiting, "this address is no longer in the settings")
            return True
        try:
            sender.send(waiting)
        except NotSent as error:
            problem = self._wiring.redactor.clean(str(error))
            again = outbox.failed(self._wiring.db, waiting, problem, now=self._wiring.clock())
            rest = "tried again" if again else "given up"
            log.warning("%s could not be told of %s: %s; %s", waiting.target, waiting.event, problem, rest)
            return False
        outbox.sent(self._wiring.db, waiting, now=self._wiring.clock())
        return True

    def _say(self, event: Event, job: Job) -> Told:
        return notice_sentences.told(
            event,
            job,
            self._outlook(event, job),
            server_url=self._url_of(job.repo.server),
            several=len(self._wiring.settings.servers) > 1,
            public_url=self._wiring.settings.public_url,
            redactor=self._wiring.redactor,
        )

    def _url_of(self, server: str) -> str:
        """Its address, as it was last known where the settings do not name it any more."""
        if server in self._wiring.settings.servers:
            return self._wiring.settings.servers[server].url
        return str(Server.select(Server.url).where(Server.name == server).scalar(self._wiring.db) or "")

    def _outlook(self, event: Event, job: Job) -> Outlook | None:
        if event is not Event.QUEUED:
            return None
        return outlooks(self._wiring.db, now=self._wiring.clock()).get(job.id)
