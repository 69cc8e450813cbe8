"""The doctor on the admin side, and the examinations that workers take on for it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from peewee import Database, OperationalError

from jobs.doctor.calls import Calls
from jobs.doctor.examine import Examination
from models import checkups
from models.checkup import Checkup, unknown, well, wrong
from models.side_tables import CheckupRequest
from tests.unit.storing import new_store
from tests.unit.test_pages import page, submit
from tests.unit.website import Website, running, settings_for

NOW = 1_782_900_000.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path), clock=lambda: NOW) as website:
        yield website


def look(site: Website, *found: object) -> None:
    """A worker takes the next one on and finds this."""
    with site.database.connection_context():
        row = checkups.take(site.database, now=NOW + 1)
        assert row is not None
        checkups.finish(site.database, row.id, Checkup.of(found), now=NOW + 4)  # type: ignore[arg-type]


def test_it_is_called_by_a_button_and_what_is_wrong_stands_first(site: Website) -> None:
    first = page(site, "/admin/doctor")
    assert "Nobody has asked yet" in first
    assert submit(site, first, "/admin/doctor", repo="").status_code == 303
    assert "A worker will look at everything in a moment" in page(site, "/admin/doctor")
    cure = "http://git.example.com/user/settings/applications: give it <all> of them"
    look(site, well("git", "2.39"), unknown("clock", "who knows"), wrong("token", "no <scope>", why="why", cure=cure))
    answer = site.client.get("/admin/doctor", headers={"Accept": "text/html"}).text
    assert "1 thing is wrong." in answer
    assert answer.index("no &lt;scope&gt;") < answer.index("who knows") < answer.index("2.39")
    address = "http://git.example.com/user/settings/applications"
    assert f'<a href="{address}">{address}</a>: give it &lt;all&gt; of them' in answer


def test_programs_get_the_same_as_json(site: Website) -> None:
    assert site.client.get("/admin/doctor").json() == {"pending": {}, "last": None}
    answer = site.client.post("/admin/doctor", json={"repo": "acme/widgets"})
    assert (answer.status_code, answer.json()) == (202, {"id": 1, "repo": "acme/widgets", "state": "waiting"})
    assert site.client.get("/admin/doctor").json()["pending"]["repo"] == "acme/widgets"
    look(site, wrong("token", "it is expired", why="nothing works", cure="make another"))
    told = site.client.get("/admin/doctor").json()
    assert told["pending"] == {}
    assert (told["last"]["well"], told["last"]["cause"]["check"], told["last"]["repo"]) == (
        False,
        "token",
        "acme/widgets",
    )


@pytest.mark.parametrize("repo", ["widgets", "acme/", "a/b/c", "acme/wid\x00gets", "a/" + "x" * 300])
def test_what_is_no_repository_is_refused(site: Website, repo: str) -> None:
    answer = site.client.post("/admin/doctor", json={"repo": repo})
    assert answer.status_code == 400
    assert "right would be OWNER/REPO" in answer.json()["error"]


def test_asking_twice_is_asking_once_and_few_are_kept(site: Website) -> None:
    with site.database.connection_context():
        db = site.database
        assert checkups.ask(db, "", "ada", now=NOW) == checkups.ask(db, "", "bob", now=NOW) == 1
        assert checkups.ask(db, "acme/widgets", "ada", now=NOW) == 2
        for _ in range(checkups.KEPT + 5):
            row = checkups.take(db, now=NOW)
            if row is not None:
                checkups.finish(db, row.id, Checkup.of([]), now=NOW)
            checkups.ask(db, "", "ada", now=NOW)
        assert CheckupRequest.select().count(db) == checkups.KEPT


def test_one_that_nobody_finishes_is_begun_anew(site: Website) -> None:
    with site.database.connection_context():
        db = site.database
        number = checkups.ask(db, "", "ada", now=NOW)
        assert checkups.take(db, now=NOW) is not None
        assert checkups.take(db, now=NOW + checkups.LEASE - 1) is None, "somebody is about it"
        assert checkups.take(db, now=NOW + checkups.LEASE + 1) is not None
        checkups.leave(db, number)
        assert checkups.take(db, now=NOW + checkups.LEASE + 2) is not None
        checkups.finish(db, number, Checkup.of([]), now=NOW)
        checkups.leave(db, number)
        assert checkups.take(db, now=NOW + 9 * checkups.LEASE) is None


def test_what_was_found_and_could_not_be_written_down_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, errors = checkups.finish, [OperationalError("database is locked")]

    def refuse_once(db: Database, number: int, found: Checkup, *, now: float) -> None:
        if errors:
            raise errors.pop()
        finish(db, number, found, now=now)

    monkeypatch.setattr(checkups, "finish", refuse_once)
    monkeypatch.setattr(Examination, "run", lambda _: Checkup.of([]))
    db, settings = new_store(tmp_path, durable=False), settings_for(tmp_path)
    wiring = SimpleNamespace(db=db, settings=settings, clock=lambda: NOW, stopping=threading.Event())
    calls = Calls(wiring, {})  # type: ignore[arg-type]
    with db.connection_context():
        checkups.ask(db, "", "ada", now=NOW)
        with pytest.raises(OperationalError):
            calls._look()
        assert checkups.latest(db) is None
        calls._look()
        assert checkups.latest(db) is not None
