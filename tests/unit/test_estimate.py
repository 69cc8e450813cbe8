"""When a waiting job will start, and how that is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.queue_sentences import place, spoken
from models.estimate import MOST, RECENT, Busy, Outlook, Queued, Run, Usual, starts


def line(*seconds: float, repo: int = 1) -> list[Queued]:
    """Jobs that wait, numbered from 1, each on an issue of its own."""
    return [Queued(number, repo, number, each) for number, each in enumerate(seconds, 1)]


def test_the_usual_time_is_that_of_the_repository_else_of_the_recipe_else_of_all() -> None:
    runs = [Run(1, "code", 10), Run(1, "code", 30), Run(1, "code", 20), Run(2, "code", 100), Run(2, "review", 7)]
    usual = Usual(runs)
    assert usual.of(1, "code") == 20
    assert usual.of(2, "code") == 100
    assert usual.of(3, "review") == 7
    assert usual.of(3, "code") == 25
    assert usual.of(1, "research") == 20
    assert Usual([]).of(1, "code") is None


def test_only_the_last_runs_count() -> None:
    runs = [Run(1, "code", 5.0)] * RECENT + [Run(1, "code", 1000.0)] * 100
    assert Usual(runs).of(1, "code") == 5


def test_with_one_slot_each_waits_for_all_before_it() -> None:
    assert starts([Busy(9, 99, 4.0)], line(10, 20, 30), 1, None) == {1: 4, 2: 14, 3: 34}


def test_with_more_slots_the_first_that_is_free_takes_the_next() -> None:
    busy = [Busy(9, 98, 4.0), Busy(9, 99, 40.0)]
    assert starts(busy, line(10, 20, 30), 2, None) == {1: 4, 2: 14, 3: 34}
    assert starts([], line(10, 20, 30), 2, None) == {1: 0, 2: 0, 3: 10}


def test_what_is_late_already_ends_any_moment() -> None:
    assert starts([Busy(9, 99, 0.0)], line(10), 1, None) == {1: 0}


def test_a_repository_that_is_full_lets_another_go_first() -> None:
    jobs = [*line(10, 10), Queued(3, 2, 3, 10)]
    assert starts([], jobs, 2, 1) == {1: 0, 3: 0, 2: 10}


def test_a_job_waits_for_the_one_that_runs_on_its_issue() -> None:
    assert starts([Busy(1, 1, 25.0)], line(10, 10), 3, None) == {2: 0, 1: 25}


def test_what_is_put_off_starts_no_sooner() -> None:
    assert starts([], [Queued(1, 1, 1, 10, put_off=60.0)], 1, None) == {1: 60}


def test_nobody_can_say_where_nothing_may_run_or_too_many_wait() -> None:
    assert starts([], line(10), 0, None) == {}
    assert len(starts([], line(*[1.0] * (MOST + 50)), 1, None)) == MOST


@given(
    jobs=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6), st.floats(0.1, 100)), max_size=30),
    busy=st.lists(st.floats(0, 100), max_size=4),
    capacity=st.integers(1, 4),
    per_repo=st.one_of(st.none(), st.integers(1, 3)),
)
def test_every_job_starts_and_never_more_run_than_may(
    jobs: list[tuple[int, int, float]], busy: list[float], capacity: int, per_repo: int | None
) -> None:
    waits = [Queued(number, repo, repo * 10 + issue, each) for number, (repo, issue, each) in enumerate(jobs)]
    running = [Busy(9, 900 + number, left) for number, left in enumerate(busy)]
    found = starts(running, waits, capacity, per_repo)
    assert found.keys() == {job.job_id for job in waits}
    for at in found.values():
        now = [job for job in waits if found[job.job_id] <= at < found[job.job_id] + job.seconds]
        still = sum(left > at for left in busy)
        assert len(now) + still <= max(capacity, len(busy))
        assert len({job.thread_id for job in now}) == len(now)
        repos = [job.repo_id for job in now]
        assert per_repo is None or all(repos.count(repo) <= per_repo for repo in repos)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "in a moment"),
        (29, "in a moment"),
        (30, "in about 1 min"),
        (61, "in about 2 min"),
        (240, "in about 4 min"),
        (400, "in about 7 min"),
        (1300, "in about 30 min"),
        (2800, "in about 1 h"),
        (3601, "in about 2 h"),
    ],
)
def test_times_are_said_coarsely(seconds: int, said: str) -> None:
    assert spoken(seconds) == said


def test_what_is_said_of_a_place_in_the_queue() -> None:
    assert place(Outlook(2, 200)) == ", position 2, in about 4 min."
    assert place(Outlook(1)) == ", position 1."
    assert place(Outlook(1, 100, paused="x"), "the disk\nis full.") == ", position 1, paused: the disk is full."
    assert place(Outlook(1, 100, paused="")) == ", position 1, paused."
    assert place(Outlook(3, 90, put_off_until=45_000.0)) == ", position 3, in about 2 min, not before 12:30:00 UTC."
    full = ", position 1, in about 1 min. As many agents work in this repository as may."
    assert place(Outlook(1, 50, repo_full=True)) == full
