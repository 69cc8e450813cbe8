"""How long a server asks to be left alone, in whatever way it says so, and that it is."""

import time

import pytest

from jobs.gitea import Gitea, GiteaDown
from jobs.retry_after import MOST_SECONDS, wait_asked_for
from tests.fakes.answers import Reply, answering

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("86400", MOST_SECONDS),
        ("9" * 400, MOST_SECONDS),
        ("Wed, 21 Oct 2026 07:29:30 GMT", 90.0),
        ("Wed, 21 Oct 2026 09:28:45 +0200", 45.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_SECONDS),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", 0.0),
        ("Wed, 99 Oct 2026 99:99:99 GMT", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
def test_what_was_asked_for(said: str, seconds: float) -> None:
    assert wait_asked_for({"Retry-After": said, "Date": NOW}) == seconds


def test_where_the_server_tells_no_time_ours_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1792567620.0)
    assert wait_asked_for({"Retry-After": NOW, "Date": "whenever"}) == 60.0


@pytest.mark.parametrize("status", [429, 503])
def test_it_is_left_alone_for_that_long(status: int) -> None:
    with answering() as server, Gitea(server.url, "") as gitea:
        server.says(status, b"", **{"Retry-After": "30"})
        with pytest.raises(GiteaDown) as told:
            gitea.me()
        server.answering = lambda _method, _path: Reply(200, b'{"id": 7, "login": "kugetsu"}')
        with pytest.raises(GiteaDown, match="asked for") as kept:
            gitea.me()
        assert len(server.seen) == 1
    assert told.value.wait == 30
    assert 0 < kept.value.wait <= 30


def test_who_asks_for_no_time_is_asked_again_at_once() -> None:
    with answering() as server, Gitea(server.url, "") as gitea:
        server.says(503)
        for _ in range(2):
            with pytest.raises(GiteaDown, match="answered 503"):
                gitea.me()
        assert len(server.seen) == 2
