"""A restored home, and what may become of it."""

import shutil
from pathlib import Path

import pytest

from jobs.backup import back_up
from jobs.restoring import RestoreRefused, restore
from models import opening
from tests.storage.conftest import MakeWorld


def test_a_restore_that_was_cut_short_at_its_very_end_does_not_cost_what_came_after(home: Path, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    new = tmp_path / "new"
    restore(made.path, new)
    (new / "+restoring").mkdir()  # killed between its last two steps
    database = opening.open_database(new / "kugetsu.db")
    opening.migrate(database, new / "migrate.lock", capacity=1)  # the service starts, and works for weeks
    database.close()
    (new / "worktrees/of-later").mkdir()
    with pytest.raises(RestoreRefused, match="is not empty"):
        restore(made.path, new)
    assert (new / "worktrees/of-later").is_dir()


def test_the_settings_that_are_in_force_are_in_it(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "etc.toml"
    (tmp_path / "mounted.toml").write_text('webhook_secret = "in force"\n')
    elsewhere.symlink_to(tmp_path / "mounted.toml")
    made = back_up(home, tmp_path / "kugetsu.tar", config=elsewhere, version="1")
    restore(made.path, tmp_path / "new")
    assert "in force" in (tmp_path / "new/kugetsu.toml").read_text()


def test_what_is_asked_after_a_restore_is_told_also_where_its_number_was_given_before(
    tmp_path: Path, make_world: MakeWorld
) -> None:
    world = make_world(tmp_path / "world")
    first = world.issue("One", "stub: write one.py x")
    world.label(first, "kugetsu/code")
    world.wait_for_result(first)
    made = back_up(world.home, tmp_path / "kugetsu.tar", version="1")
    after = world.issue("After the backup", "stub: write two.py x")
    world.label(after, "kugetsu/code")
    world.wait_for_result(after)
    world.halves.stop_worker()
    world.halves.stop_web()
    world.home.rename(tmp_path / "lost")
    restore(made.path, world.home)
    shutil.rmtree(tmp_path / "lost")
    world.halves.start_web()
    world.halves.start_worker()
    world.comment(after, "/kugetsu stub: write two.py y")
    world.wait_for(lambda: len(world.jobs()) == 2, "the job")
    world.wait_quiet()
    assert len(world.said(after, "result")) == 2
    assert [job.outcome for job in world.jobs()] == ["completed", "completed"]
