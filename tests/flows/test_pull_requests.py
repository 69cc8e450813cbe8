"""Pull requests as well as issues: ours continue their issue's conversation, other people's are worked on in place."""

import pytest

from tests.fakes.gitea import Remark
from tests.flows.conftest import MakeWorld
from tests.world import BOT, READER, WRITER, World

APP = "def first(items):\n    return items[0] if items else None\n"
WRITE_APP = f"stub: write app.py {APP!r}".replace("'", "")


def made(world: World) -> tuple[int, int]:
    """An issue that was worked on, and its pull request."""
    issue = world.issue("Crash on empty input", WRITE_APP)
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    return issue, world.next_pull(issue).number


def theirs(world: World, by: str = WRITER) -> int:
    """A pull request that a person made."""
    world.gitea.push(world.repo, "topic", {"topic.txt": "theirs\n"}, WRITER)
    return world.gitea.open_pull(world.repo, by, "topic", title="My topic", body="Please look.").number


def test_a_comment_on_our_pull_request_continues_its_issue(world: World) -> None:
    issue, pull = made(world)
    comment = world.comment(pull, "/kugetsu and the readme\nstub: write README.md two")
    world.wait_for_reaction(comment, "eyes")
    assert f"updated the pull request #{pull}" in world.wait_for_result(pull)
    assert len(world.said(issue, "result")) == 1
    assert len(world.said(pull, "live")) == 1
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "README.md") == "two"
    assert len({run.session for run in world.agent_runs()}) == 1
    assert len(world.gitea.pulls_of(world.repo)) == 1


def test_asks_from_both_places_are_answered_in_both(world: World) -> None:
    issue, pull = made(world)
    world.comment(issue, "/kugetsu first\nstub: wait go")
    world.wait_for_agents(2)
    for number in (issue, pull):
        world.wait_for_reaction(world.comment(number, f"/kugetsu from {number}"), "eyes")
    world.let_go(issue, "go")
    world.wait_for_result(issue, 3)
    assert len(world.said(pull, "result")) == 1
    assert len(world.jobs()) == 3


def test_cancel_and_status_on_our_pull_request_are_about_its_issue(world: World) -> None:
    issue, pull = made(world)
    world.comment(issue, "/kugetsu more\nstub: sleep 300")
    world.wait_for_agents(2)
    world.comment(pull, "/kugetsu status")
    world.wait_until(lambda: world.said(pull, "answer"), "status")
    assert "Working on it" in world.said(pull, "answer")[0]
    world.comment(pull, "/kugetsu cancel")
    assert "cancelled" in world.wait_for_result(issue, 2)


def test_a_label_on_our_pull_request_asks_and_is_answered_there(world: World) -> None:
    issue, pull = made(world)
    world.label(pull, "kugetsu/code")
    world.wait_for_result(pull)
    assert world.labels(pull) == world.labels(issue) == ["kugetsu/done"]
    assert len(world.jobs()) == 2


def test_a_review_is_one_job_however_many_lines(world: World) -> None:
    issue, pull = made(world)
    notes = [Remark("app.py", f"Line {line} could be better.", new_position=line) for line in (1, 2)]
    review = world.review(pull, "/kugetsu see below\nstub: write README.md reviewed", *notes)
    assert f"updated the pull request #{pull}" in world.wait_for_result(pull)
    assert len(world.jobs()) == 2
    prompt = world.agent_runs()[-1].prompt
    assert "On `app.py`, line 1:" in prompt
    assert "Line 2 could be better." in prompt
    assert "+    return items[0] if items else None" in prompt
    assert "/kugetsu" not in prompt.partition("What you are asked")[2]
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "README.md") == "reviewed"
    assert review.entry is None or (BOT, "eyes") in world.gitea.reactions_of(world.repo, review.entry)


def test_a_word_on_a_single_line_is_enough(world: World) -> None:
    _, pull = made(world)
    world.review(pull, "", Remark("app.py", "/kugetsu name it head\nstub: write README.md head", new_position=1))
    world.wait_for_result(pull)
    assert "On `app.py`, line 1:" in world.agent_runs()[-1].prompt
    assert len(world.jobs()) == 2


def test_requested_changes_are_made_without_a_command(world: World) -> None:
    issue, pull = made(world)
    note = Remark("app.py", "stub: append README.md line", new_position=1)
    world.review(pull, "Not yet.\nstub: write README.md text", note, state="REQUEST_CHANGES")
    world.wait_for_result(pull)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "README.md") == "textline"


@pytest.mark.parametrize(("by", "state"), [(READER, "REQUEST_CHANGES"), (WRITER, "APPROVED"), (WRITER, "COMMENT")])
def test_other_reviews_are_no_asks(world: World, by: str, state: str) -> None:
    _, pull = made(world)
    world.review(pull, "I have seen this.", Remark("app.py", "Here.", new_position=1), by=by, state=state)
    world.wait_quiet()
    assert len(world.jobs()) == 1
    assert world.said(pull) == []


def test_a_review_that_did_not_ask_is_told_to_the_agent_with_the_next_ask(world: World) -> None:
    issue, pull = made(world)
    world.review(pull, "Think of None, too.", Remark("app.py", "Here.", new_position=2))
    world.wait_quiet()
    world.comment(pull, "/kugetsu address the review")
    world.wait_for_result(pull)
    prompt = world.agent_runs()[-1].prompt
    assert "Think of None, too." in prompt
    assert "On `app.py`, line 2:" in prompt
    assert world.labels(issue) == ["kugetsu/done"]


def test_a_reader_who_asks_in_a_review_is_refused_there(world: World) -> None:
    _, pull = made(world)
    world.review(pull, "/kugetsu do it my way", by=READER)
    world.wait_until(lambda: world.said(pull, "refused"), "a refusal")
    world.wait_quiet()
    assert [job.outcome for job in world.jobs()] == ["completed", "refused"]


def test_work_on_somebodys_pull_request_goes_to_its_branch(world: World) -> None:
    pull = theirs(world)
    world.comment(pull, "/kugetsu finish this\nstub: append topic.txt ours\\n")
    assert f"updated the pull request #{pull}" in world.wait_for_result(pull)
    assert world.gitea.file_at(world.repo, "topic", "topic.txt") == "theirs\nours\n"
    mine, other = world.gitea.log(world.repo, "topic")[:2]
    assert (mine.author.name, other.author.name == BOT) == (BOT, False)
    assert [found.number for found in world.gitea.pulls_of(world.repo)] == [pull]
    world.comment(pull, "/kugetsu and again\nstub: append topic.txt again\\n")
    world.wait_for_result(pull, 2)
    assert world.gitea.file_at(world.repo, "topic", "topic.txt") == "theirs\nours\nagain\n"


def test_a_review_of_somebodys_pull_request_must_speak(world: World) -> None:
    pull = theirs(world, by=READER)
    world.review(pull, "Not good.", state="REQUEST_CHANGES")
    world.wait_quiet()
    assert world.jobs() == []
    world.review(pull, "/kugetsu mend it\nstub: write topic.txt mended", Remark("topic.txt", "This.", new_position=1))
    world.wait_for_result(pull)
    assert world.gitea.file_at(world.repo, "topic", "topic.txt") == "mended"


def test_being_named_in_the_settings_is_not_enough_on_somebodys_pull_request(make_world: MakeWorld) -> None:
    world = make_world(ALLOW_USERS=READER)
    pull = theirs(world)
    world.wait_for_reaction(world.comment(pull, "/kugetsu do it", by=READER), "-1")
    world.wait_quiet()
    assert [job.outcome for job in world.jobs()] == ["refused"]
    assert world.gitea.file_at(world.repo, "topic", "topic.txt") == "theirs\n"


def test_nothing_is_pushed_to_a_fork(world: World) -> None:
    world.gitea.fork(world.repo, READER)
    world.gitea.push(f"{READER}/widgets", "topic", {"topic.txt": "theirs\n"}, READER)
    pull = world.gitea.open_pull(world.repo, READER, f"{READER}:topic", title="From outside").number
    comment = world.comment(pull, "/kugetsu finish this")
    world.wait_for_reaction(comment, "-1")
    world.wait_until(lambda: world.said(pull, "refused"), "a refusal")
    assert "fork" in world.said(pull, "refused")[0]


def test_nothing_is_pushed_to_the_default_branch(world: World) -> None:
    world.gitea.push(world.repo, "release", {"notes.txt": "1.0\n"}, WRITER)
    world.gitea.push(world.repo, "main", {"new.txt": "new\n"}, WRITER)
    pull = world.gitea.open_pull(world.repo, WRITER, "main", title="Release", base="release").number
    world.wait_for_reaction(world.comment(pull, "/kugetsu finish this"), "-1")
    world.wait_until(lambda: world.said(pull, "refused"), "a refusal")
    assert "default branch" in world.said(pull, "refused")[0]


def test_a_comment_that_is_faster_than_the_worker_that_opened_the_pull_request(world: World) -> None:
    issue = world.issue("Crash")
    branch = f"kugetsu/issue-{issue}"
    world.gitea.let(world.repo, BOT, "admin")
    world.gitea.push(world.repo, branch, {"app.py": "half\n"}, BOT)
    pull = world.gitea.open_pull(world.repo, BOT, branch, title="Crash").number
    world.comment(pull, "/kugetsu go on\nstub: append app.py whole")
    world.wait_for_result(pull)
    assert world.gitea.file_at(world.repo, branch, "app.py") == "half\nwhole"
    with world.database() as database:
        sql = "SELECT thread.issue FROM job JOIN thread ON thread.id = job.thread_id"
        assert database.execute_sql(sql).fetchall() == [(issue,)]  # type: ignore[no-untyped-call]


def test_merging_somebodys_pull_request_ends_its_conversation(world: World) -> None:
    pull = theirs(world)
    world.comment(pull, "/kugetsu finish this\nstub: append topic.txt ours\\n")
    world.wait_for_result(pull)
    world.merge(pull)
    world.wait_for(lambda: not world.places(), "the place to be freed")
    world.wait_for_reaction(world.comment(pull, "/kugetsu more"), "-1")
    world.wait_until(lambda: world.said(pull, "refused"), "a refusal")
    assert "closed" in world.said(pull, "refused")[0]
