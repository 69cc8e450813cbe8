"""Somebody who hears webhooks, for tests of what is sent."""

from types import TracebackType
from typing import Self

from tests.fakes.gitea.api import Answer, Request
from tests.fakes.gitea.wirehttp import Listener


class Ear:
    """A listener on loopback that keeps what came and answers with `status`: `with Ear() as ear: … ear.url`."""

    def __init__(self) -> None:
        self.status = 202
        self.heard: list[Request] = []
        self._listener = Listener(self._hear)
        self.url = f"http://127.0.0.1:{self._listener.port}/webhook"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._listener.join()

    def _hear(self, request: Request) -> Answer:
        self.heard.append(request)
        return Answer(self.status, {"detail": "heard"})
