"""A disk that fills up: nothing starts before it is full, nothing is lost when it is, and work goes on by itself."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs import room
from jobs.place import Place
from models.disk import GIB, MIB, Room, floor_of
from tests.fakes.gitea import FakeGitea
from tests.storage.conftest import MakeWorld, SmallDisk
from tests.world import World


def get(world: World, path: str) -> Any:
    """The JSON of an address of ours."""
    return httpx.get(f"{world.halves.url}{path}", trust_env=False, timeout=30).json()


def test_the_floor_follows_the_size_of_the_disk() -> None:
    assert [floor_of(size) for size in (64 * MIB, 10 * GIB, 40 * GIB, 1000 * GIB)] == [
        16 * MIB,
        512 * MIB,
        40 * GIB // 50,
        2 * GIB,
    ]


def test_it_starts_again_only_with_a_little_more_than_the_floor() -> None:
    at = [Room(total=1000, free=free, floor=100) for free in (99, 100, 109, 110)]
    assert [(room.scarce, room.ample) for room in at] == [(True, False), (False, False), (False, False), (False, True)]


def test_a_temporary_folder_that_an_agent_takes_away_takes_nothing(tmp_path: Path) -> None:
    assert room.Budget(Place.at(tmp_path, tmp=tmp_path.with_name("gone"))).broken() is None


def test_before_the_disk_is_full_nothing_new_starts_and_the_issue_says_why(
    disk: SmallDisk, make_world: MakeWorld
) -> None:
    world = make_world(disk.path / "root")
    disk.fill(leave=10 * MIB)
    world.wait_for(lambda: get(world, "/admin/status")["capacity"]["paused"], "the pause")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: world.said(issue, "live"), "the comment that follows the job")
    assert "**Queued**, position 1, paused: the disk is full." in world.said(issue, "live")[0]
    (reason,) = get(world, "/readyz")["reasons"]
    assert reason.startswith("the disk is full: ")
    assert reason.endswith(" are free, and 16 MiB have to stay so: no new agent starts")
    assert get(world, "/admin/status")["capacity"]["reason"] == "the disk is full"
    assert world.agent_runs() == []
    disk.empty()
    world.wait_for_result(issue)
    assert world.labels(issue) == ["kugetsu/done"]


def test_a_disk_that_can_hold_no_more_files_is_full_whatever_is_free_on_it(
    disk: SmallDisk, make_world: MakeWorld
) -> None:
    world = make_world(disk.path / "root")
    disk.fill_with_files()
    world.wait_for(lambda: get(world, "/admin/status")["capacity"]["paused"], "the pause")
    (reason,) = get(world, "/readyz")["reasons"]
    assert reason.startswith("the disk is full: it can hold ")
    assert reason.endswith(" more files, and 300 have to stay so: no new agent starts")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: world.said(issue, "live"), "the comment that follows the job")
    assert "paused: the disk is full." in world.said(issue, "live")[0]
    disk.empty()
    world.wait_for_result(issue)
    assert [(job.outcome, job.attempt, job.crashes, job.run) for job in world.jobs()] == [("completed", 0, 0, 1)]


def test_the_disk_of_the_agents_places_counts_where_that_is_another(
    disk: SmallDisk, make_world: MakeWorld, tmp_path: Path
) -> None:
    worktrees = SmallDisk(tmp_path / "world/kugetsu/worktrees", 64 * MIB)
    try:
        world = make_world(tmp_path / "world", TEMP_DIR=str(disk.path))
        for full in (worktrees, disk):
            full.fill(leave=10 * MIB)
            world.wait_for(lambda: get(world, "/admin/status")["capacity"]["paused"], "the pause")
            (reason,) = get(world, "/readyz")["reasons"]
            assert reason.startswith(f"{full.path}: the disk is full: ")
            full.empty()
            world.wait_for(lambda: not get(world, "/admin/status")["capacity"]["paused"], "the pause to end")
    finally:
        worktrees.unmount()


def test_while_the_disk_of_the_agents_places_is_read_only_nothing_starts_and_nothing_fails(
    disk: SmallDisk, make_world: MakeWorld, tmp_path: Path
) -> None:
    worktrees = tmp_path / "world/kugetsu/worktrees"
    worktrees.mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(disk.path), str(worktrees)], check=True)
    try:
        world = make_world(tmp_path / "world")
        subprocess.run(["mount", "-o", "remount,bind,ro", str(worktrees)], check=True)
        world.wait_for(lambda: get(world, "/admin/status")["capacity"]["paused"], "the pause")
        assert get(world, "/readyz")["reasons"] == [f"{worktrees} is read-only: no new agent starts"]
        issue = world.issue("Crash on empty input", "stub: write app.py fixed")
        world.label(issue, "kugetsu/code")
        world.wait_until(lambda: world.said(issue, "live"), "the comment that follows the job")
        assert "paused: a folder of the service is read-only." in world.said(issue, "live")[0]
        subprocess.run(["mount", "-o", "remount,bind,rw", str(worktrees)], check=True)
        world.wait_for_result(issue)
        assert [(job.outcome, job.attempt, job.crashes, job.run) for job in world.jobs()] == [("completed", 0, 0, 1)]
    finally:
        subprocess.run(["umount", "--lazy", str(worktrees)], check=True)


def test_on_a_full_disk_a_webhook_is_refused_with_words_and_taken_later(
    disk: SmallDisk, make_world: MakeWorld, fake: FakeGitea, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(disk.path / "root")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.wait_quiet()
    before = len(world.deliveries())
    disk.fill()
    world.label(issue, "kugetsu/code")
    fake.settle()
    refused = fake.deliveries[-1]
    assert (refused.status, json.loads(refused.response)["detail"]) == (
        503,
        "this cannot be stored now: the disk is full",
    )
    reasons = get(world, "/readyz")["reasons"]
    assert "deliveries cannot be stored: the disk is full" in reasons
    assert "the disk is full" in get(world, "/admin/status")["storage"]["problem"]
    disk.empty()
    world.wait_for(lambda: get(world, "/readyz")["ready"], "the service to be ready again by itself")
    assert len(world.deliveries()) == before
    fake.redeliver(refused)
    world.wait_for_result(issue)
    assert "Traceback" not in caplog.text


def test_a_disk_that_fills_while_agents_work_costs_no_job(
    disk: SmallDisk, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.settling.FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("jobs.desk.LONGEST_PAUSE_SECONDS", 0.5)
    world = make_world(disk.path / "root")
    issue = world.issue("Crash on empty input", "stub: wait go\nstub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(issue), "the session to be known")
    disk.fill()
    world.let_go(issue, "go")
    draft = world.home / "jobs/1/run-1/result.json.draft"
    world.wait_for(draft.exists, "the keeper to try to write how the agent failed")
    disk.empty()
    world.wait_for_result(issue)
    assert world.labels(issue) == ["kugetsu/done"]
    (job,) = world.jobs()
    assert (job.outcome, job.attempt, job.crashes) == ("completed", 0, 0)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "fixed"


TOO_MUCH = {
    "fallocate -l 20M big": "took 20 MiB of the disk; 16 MiB is the most one may take",
    "seq 1500 | xargs touch": "of the files that the disk can hold; 1000 is the most one may take",
    "fallocate -l 20M $TMPDIR/big": "took 20 MiB of the disk; 16 MiB is the most one may take",
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_an_agent_whose_folder_takes_too_much_is_ended_and_what_it_took_is_given_back(
    disk: SmallDisk, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    monkeypatch.setattr("jobs.room.LOOK_SECONDS", 0.2)
    disk.remount("rw,nr_inodes=4000")
    elsewhere = {"TEMP_DIR": str(disk.path)} if "TMPDIR" in what else {}
    world = make_world((tmp_path if elsewhere else disk.path) / "root", **elsewhere)
    fill = f"stub: write app.py mine\nstub: commit\nstub: run {what}\nstub: wait never"
    issue = world.issue("Fill it", fill)
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "the folder of this issue took" in result
    assert TOO_MUCH[what] in result
    assert "What was new there and not committed is gone." in result
    assert [job.outcome for job in world.jobs()] == ["failed"]
    (place,) = world.places()
    assert (place / "tree/app.py").read_text() == "mine"
    assert not [path for path in (place / "tree").iterdir() if path.name not in (".git", "app.py", "README.md")]
    assert shutil.disk_usage(disk.path).used < 16 * MIB
    assert get(world, "/readyz")["ready"]
