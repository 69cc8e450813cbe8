"""Clearing up after the days of retention: what goes, what stays, and that its space is given back."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from jobs import checkout, compacting
from jobs import retention as retention_job
from jobs.mirror import Mirror
from jobs.place import Place
from jobs.retention import DAY, Retention
from jobs.workspace import Workspace
from models import retention, store
from models.intake import Ignore
from models.store import Incoming
from models.tables import Delivery, Heard, Job, Move
from models.tables import Thread as ThreadRow
from tests.fakes.git_remote import GitRemote
from tests.fakes.gitea import FakeGitea
from tests.fakes.workspaces import Thread
from tests.storage.conftest import MakeWorld
from tests.unit.storing import delivery, finish, new_store, queue, start
from tests.world import World

EIGHT_DAYS = 8 * DAY


@pytest.fixture
def world(tmp_path: Path, make_world: MakeWorld) -> World:
    """In which Kugetsu does not look at Gitea by itself: such a look comes seconds after a change, and what it is about
    is not quiet for a moment.
    """
    return make_world(tmp_path / "world", RECONCILE_INTERVAL="1h")


def clear_up(world: World, *, later: float) -> None:
    """As the worker does it, so many seconds from now."""
    worker = world.halves._worker
    assert worker is not None
    known = worker._retention
    wiring = replace(known._wiring, clock=lambda: time.time() + later)
    Retention(wiring, known._workspace).run()


def done(world: World, title: str, what: str) -> int:
    """An issue whose one job has ended."""
    issue = world.issue(title, what)
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    return issue


def test_a_closed_and_quiet_conversation_goes_and_an_open_one_keeps_its_unpushed_work(
    world: World, fake: FakeGitea
) -> None:
    closed = done(world, "Crash on empty input", "stub: write app.py fixed")
    world.comment(closed, "/kugetsu status")
    world.wait_until(lambda: len(world.said(closed)) == 3, "the answer")
    still_open = done(world, "Another one", "stub: write other.py unpushed\nstub: exit 3")
    world.close(closed)
    world.close(world.next_pull(closed).number)
    world.wait_quiet()
    world.comment(still_open, "/kugetsu help")  # the newest ask of all is kept for the sake of its number
    world.wait_until(lambda: len(world.said(still_open)) == 3, "the answer")
    world.wait_quiet()
    asked = [
        sent for sent in fake.deliveries if sent.event == "issue_comment" and "/kugetsu status" in sent.text.decode()
    ]

    clear_up(world, later=0.0)
    assert (len(world.places()), len(world.jobs())) == (2, 2), "nothing is old yet"
    clear_up(world, later=EIGHT_DAYS)

    (job,) = world.jobs()
    with world.database() as db:
        (thread,) = ThreadRow.select().execute(db)
        assert (thread.issue, job.thread_id) == (still_open, thread.id)
        assert Delivery.select().count(db) == 0
        assert {row.job_id for row in Move.select().execute(db)} == {job.id}
        assert Heard.select().count(db) >= 2
    (place,) = world.places()
    assert (place / "tree/other.py").read_text() == "unpushed"
    assert [path.name for path in (world.home / "jobs").iterdir() if path.name != str(job.id)] == []
    mirror = Mirror(world.home / "repos/gitea/acme/widgets.git")
    assert mirror.refs("refs/kugetsu/sealed/1") == {}

    fake.redeliver(asked[0])
    world.wait_quiet()
    assert len(world.said(closed)) == 3, "what was said and is forgotten was heard again"
    with world.database() as db:
        Heard.delete().execute(db)
    fake.redeliver(asked[0])
    world.wait_until(lambda: len(world.said(closed)) == 4, "without the keys it is: this shows that they are needed")


def unpushed(world: World) -> int:
    """An issue whose work was never pushed."""
    return done(world, "Crash on empty input", "stub: write app.py unpushed\nstub: exit 3")


def ask_elsewhere(world: World) -> None:
    """On another issue: the newest job and the newest ask of all are kept for the sake of their numbers."""
    world.wait_quiet()
    done(world, "Another one", "stub: write other.py fixed")


def kept(world: World, issue: int) -> bool:
    """Whether the work on this issue is still there."""
    path = world.home / f"worktrees/gitea-acme-widgets-{issue}/tree/app.py"
    return path.is_file() and path.read_text() == "unpushed"


def test_a_repository_out_of_sight_loses_its_unpushed_work_only_when_it_has_been_for_all_those_days(
    world: World, fake: FakeGitea
) -> None:
    issue = unpushed(world)
    ask_elsewhere(world)
    with world.database() as db:
        # Its clock is not moved: the worker may note at any moment, by its own, that the repository is out of sight.
        ThreadRow.update(updated_at=time.time() - EIGHT_DAYS).where(ThreadRow.issue == issue).execute(db)
    fake.forge.state.repo(world.repo).private = True
    fake.let(world.repo, world.bot, None)
    clear_up(world, later=0.0)
    assert kept(world, issue), "the bot could not see it for a moment, and the work is gone"
    clear_up(world, later=6 * DAY)
    assert kept(world, issue)
    clear_up(world, later=8 * DAY)
    assert not kept(world, issue)


def test_a_renamed_repository_keeps_its_unpushed_work(world: World) -> None:
    issue = unpushed(world)
    ask_elsewhere(world)
    world.rename("gadgets")
    clear_up(world, later=EIGHT_DAYS)
    assert kept(world, issue)
    world.close(issue)
    ask_elsewhere(world)
    clear_up(world, later=2 * EIGHT_DAYS)
    assert not kept(world, issue)


def test_what_is_closed_is_kept_while_its_pull_request_is_open(world: World) -> None:
    issue = done(world, "Crash on empty input", "stub: write app.py fixed")
    pull = world.next_pull(issue)
    world.comment(issue, "/kugetsu stub: write app.py unpushed\nstub: exit 3")
    world.wait_for_result(issue, 2)
    world.close(issue)
    ask_elsewhere(world)
    clear_up(world, later=EIGHT_DAYS)
    assert kept(world, issue)
    world.close(pull.number)
    ask_elsewhere(world)
    clear_up(world, later=2 * EIGHT_DAYS)
    assert not kept(world, issue)


def test_what_is_reopened_before_it_is_taken_away_is_kept(
    world: World, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = unpushed(world)
    world.close(issue)
    ask_elsewhere(world)
    fake.forge.state.repo(world.repo).hooks.clear()
    alone = Workspace.alone

    def slowly(workspace: Workspace, place: Place) -> AbstractContextManager[None]:
        """Somebody reopens the issue while its place is waited for, and no webhook says so."""
        if place.root.name.endswith(f"-{issue}"):
            world.reopen(issue)
        return alone(workspace, place)

    monkeypatch.setattr(Workspace, "alone", slowly)
    clear_up(world, later=EIGHT_DAYS)
    assert kept(world, issue)


def test_cut_short_at_any_step_it_is_finished_the_next_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    issue = unpushed(world)
    world.close(issue)
    ask_elsewhere(world)
    for step in (
        "jobs.checkout.forget",
        "jobs.checkout._emptied",
        "jobs.compacting.drop_refs",
        "models.retention.jobs_of",
        "models.retention.forget_thread",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(Killed):
                clear_up(world, later=EIGHT_DAYS)
        assert len(world.jobs()) == 2
    clear_up(world, later=EIGHT_DAYS)
    assert len(world.jobs()) == 1
    assert [path.name for path in world.places()] == [f"gitea-acme-widgets-{issue + 1}"]


def test_who_was_forked_meanwhile_keeps_nobody_from_clearing_up(tmp_path: Path) -> None:
    with retention_job._alone(tmp_path / "lock") as mine:
        assert mine
        if (child := os.fork()) == 0:
            signal.pause()
    try:
        with retention_job._alone(tmp_path / "lock") as mine:
            assert mine
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class Killed(BaseException):
    """Nothing catches it, as nothing catches `kill -9`."""


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_a_place_that_cannot_be_taken_away_keeps_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, other = unpushed(world), unpushed(world)
    for issue in (stuck, other):
        world.close(issue)
    ask_elsewhere(world)
    remove = checkout.remove

    def refused(path: Path) -> None:
        if path.name == f"gitea-acme-widgets-{stuck}+gone" and path.exists():
            raise PermissionError(errno.EPERM, "Operation not permitted")
        remove(path)

    monkeypatch.setattr(checkout, "remove", refused)
    clear_up(world, later=EIGHT_DAYS)
    assert len(world.jobs()) == 2, "that of the other issue is still there"
    assert not kept(world, other)
    assert "clearing up stumbled; the rest goes on" in caplog.text
    monkeypatch.undo()
    clear_up(world, later=EIGHT_DAYS)
    assert len(world.jobs()) == 1
    assert not list((world.home / "worktrees").glob("*+gone"))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = new_store(tmp_path)
    with database.connection_context():
        yield database


def fill(db: SqliteDatabase, count: int, *, received_at: float) -> None:
    body = "x" * 20_000
    items = [Incoming(delivery(body=body, received_at=received_at), Ignore("no")) for _ in range(count)]
    store.accept_many(db, items)


def test_old_deliveries_go_and_the_file_gets_smaller(db: SqliteDatabase, tmp_path: Path) -> None:
    fill(db, 450, received_at=1.0)
    fill(db, 5, received_at=100.0)
    db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[no-untyped-call]
    before = (tmp_path / "kugetsu.db").stat().st_size
    counts = []
    while count := retention.drop_deliveries(db, before=50.0):
        counts.append(count)
    assert (counts, Delivery.select().count(db)) == ([200, 200, 50], 5)
    rests: list[int] = []
    given = retention.give_back(db, idle=False, room=10**12, rest=lambda: rests.append(1))
    assert 2 <= len(rests) <= 8, "steps of about 500 pages"
    after = (tmp_path / "kugetsu.db").stat().st_size
    assert given == before - after
    assert after < before // 10
    assert db.pragma("integrity_check") == "ok"


def test_the_file_of_an_older_version_is_written_anew_once_and_only_while_all_is_idle(tmp_path: Path) -> None:
    old = SqliteDatabase(str(tmp_path / "kugetsu.db"), pragmas={"journal_mode": "wal"})
    old.execute_sql("CREATE TABLE something (x)")  # type: ignore[no-untyped-call]
    old.close()
    db = new_store(tmp_path, durable=False)
    with db.connection_context():
        fill(db, 450, received_at=1.0)
        while retention.drop_deliveries(db, before=50.0):
            pass
        assert retention.give_back(db, idle=False, room=10**12, rest=int) == 0
        assert retention.give_back(db, idle=True, room=1000, rest=int) == 0, "there would be no room for the copy"
        assert retention.give_back(db, idle=True, room=10**12, rest=int) > 5_000_000
        fill(db, 450, received_at=1.0)
        while retention.drop_deliveries(db, before=50.0):
            pass
        assert retention.give_back(db, idle=False, room=10**12, rest=int) > 5_000_000


def test_the_newest_job_stays_so_that_its_number_is_never_given_again(db: SqliteDatabase) -> None:
    first, second = queue(db, issue=1), queue(db, issue=2)
    for _ in range(2):
        assert finish(db, start(db))
    Job.update(state="done").execute(db)
    ThreadRow.update(desk_seen=ThreadRow.desk_wanted, look_seen=ThreadRow.look_wanted, updated_at=1.0).execute(db)
    assert retention.quiet_threads(db, before=100.0) == [first.thread_id]
    assert not retention.forget_thread(db, second.thread_id, before=100.0)
    assert retention.forget_thread(db, first.thread_id, before=100.0)
    assert queue(db, issue=3).id == second.id + 1
    assert Heard.select().count(db) == 1


@pytest.mark.parametrize("keep_all", [True, False])
def test_what_a_place_borrows_stays_when_its_mirror_is_packed_anew(
    remote: GitRemote, tmp_path: Path, *, keep_all: bool
) -> None:
    """With the care left out, the same packing breaks the place: so the test can fail."""
    thread = Thread(remote, tmp_path / "home")
    made = thread.deliver({"app.py": "print(2)\n"})
    compacting.drop_refs(thread.mirror, thread.target, [1])
    with Mirror(thread.mirror).held() as held:
        held.set_ref(f"refs/heads/{thread.branch}", None)
        held.repack(keep_all=keep_all, deadline=60.0)
    assert Mirror(thread.mirror).has(made.head_sha) is keep_all


def test_a_mirror_is_packed_when_untidy_and_goes_when_nobody_needs_it(
    remote: GitRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "MOST_LOOSE", 0)
    thread = Thread(remote, tmp_path / "home")
    made = thread.deliver({"app.py": "print(2)\n"})
    places = tmp_path / "home/worktrees"
    compacting.compact(thread.mirror, places, wanted=True)
    assert len(list(thread.mirror.glob("objects/pack/*.pack"))) == 1
    assert not list(thread.mirror.glob("objects/??/*"))
    assert thread.agent_git("rev-parse", "HEAD") == made.head_sha
    compacting.compact(thread.mirror, places, wanted=False)
    assert thread.mirror.is_dir(), "its place still borrows from it"
    thread.workspace.forget(thread.place)
    compacting.compact(thread.mirror, places, wanted=False)
    assert not thread.mirror.exists()
    assert thread.open().new
