"""Review: a pull request is read, and what there is to say becomes one review with remarks on its lines."""

import json

from tests.fakes.gitea import Entry, FakeGitea
from tests.world import READER, WRITER, World

TEN = "".join(f"line {number}\n" for number in range(1, 11))


def remark(line: int, body: str, path: str = "app.py", side: str = "new") -> dict[str, object]:
    return {"path": path, "line": line, "side": side, "body": body}


def write_review(summary: str, *remarks: dict[str, object]) -> str:
    """A line that makes the stub agent write its review."""
    text = json.dumps({"summary": summary, "comments": remarks})
    return f"stub: run printf %s '{text}' > \"$KUGETSU_TEMP_DIR/review.json\""


def places(comments: list[Entry]) -> set[tuple[str, int, int, str]]:
    """Where each remark stands: path, line of the new file, line of the old one, words."""
    return {(c.details["path"], c.details["new_position"], c.details["old_position"], c.body) for c in comments}


def test_a_label_on_a_pull_request_brings_one_review(world: World) -> None:
    said = [remark(2, "Is this meant?"), remark(1, "This was good.", side="old"), remark(99, "Too long.")]
    pull = world.pull({"app.py": "one\ntwo\n"}, body=write_review("All in all *fine*.", *said))
    world.label(pull, "kugetsu/review")
    result = world.wait_for_result(pull)
    (review,) = world.reviews(pull)
    assert places(review.comments) == {
        ("app.py", 2, 0, "Is this meant?"),
        ("app.py", 0, 1, "This was good."),
    }
    assert "All in all *fine*." in review.body
    assert "`app.py:99`: Too long." in review.body
    assert review.state == "COMMENT"
    assert review.commit_id == world.gitea.branches_of(world.repo)["topic"]
    assert f"@{WRITER}" in result
    assert "3 remarks" in result
    assert world.labels(pull) == ["kugetsu/done"]


def test_a_comment_asks_for_a_review_and_nothing_is_pushed(world: World) -> None:
    pull = world.pull({"app.py": "one\ntwo\n"})
    before = world.gitea.branches_of(world.repo)
    comment = world.comment(pull, f"/kugetsu review\nstub: write app.py broken\n{write_review('Fine.')}")
    world.wait_for_result(pull)
    world.wait_for_reaction(comment, "eyes")
    assert len(world.reviews(pull)) == 1
    assert world.gitea.branches_of(world.repo) == before
    assert len(world.gitea.pulls_of(world.repo)) == 1


def test_a_second_ask_reviews_only_what_is_new(world: World) -> None:
    world.gitea.push(world.repo, "main", {"app.py": TEN}, WRITER)
    first = TEN.replace("line 2\n", "LINE 2\n")
    pull = world.pull({"app.py": first})
    world.comment(pull, f"/kugetsu review\n{write_review('One thing.', remark(2, 'Why so loud?'))}")
    world.wait_for_result(pull)
    reviewed = world.gitea.branches_of(world.repo)["topic"]
    world.gitea.push(world.repo, "topic", {"app.py": first.replace("line 9\n", "LINE 9\n")}, WRITER)
    again = [remark(2, "Still loud."), remark(9, "This one too."), remark(8, "Beside it.")]
    world.comment(pull, f"/kugetsu review\n{write_review('Another.', *again)}")
    world.wait_for_result(pull, 2)
    second = world.reviews(pull)[1]
    assert places(second.comments) == {("app.py", 9, 0, "This one too.")}
    assert "Left out: 2 remarks" in second.body
    run = world.agent_runs()[1]
    assert f"git diff {reviewed} {world.gitea.branches_of(world.repo)['topic']}" in run.prompt
    assert run.session == world.agent_runs()[0].session


def test_where_nothing_is_new_no_agent_runs(world: World) -> None:
    pull = world.pull({"app.py": "one\n"}, body=write_review("Fine."))
    for number in (1, 2):
        world.label(pull, "kugetsu/review")
        result = world.wait_for_result(pull, number)
    assert "Nothing has been pushed" in result
    assert len(world.agent_runs()) == 1
    assert len(world.reviews(pull)) == 1


def test_a_question_about_what_was_reviewed_is_answered(world: World) -> None:
    pull = world.pull({"app.py": "one\n"}, body=write_review("Fine."))
    world.label(pull, "kugetsu/review")
    world.wait_for_result(pull)
    world.comment(pull, f"/kugetsu and the names?\n{write_review('The names too.', remark(1, 'Nice name.'))}")
    world.wait_for_result(pull, 2)
    second = world.reviews(pull)[1]
    assert "The names too." in second.body
    assert places(second.comments) == {("app.py", 1, 0, "Nice name.")}


def test_a_pull_request_from_a_fork_is_read_and_not_run(world: World) -> None:
    world.gitea.fork(world.repo, READER)
    world.gitea.push(f"{READER}/widgets", "patch", {"app.py": "theirs\n"}, READER)
    pull = world.gitea.open_pull(world.repo, READER, f"{READER}:patch", title="From afar").number
    text = write_review("Fine.", remark(1, "Hm."))
    world.comment(pull, f"/kugetsu review\nstub: run cp app.py seen.txt; cat seen.txt\n{text}")
    world.wait_for_result(pull)
    (review,) = world.reviews(pull)
    assert places(review.comments) == {("app.py", 1, 0, "Hm.")}
    assert "It comes from a fork" in world.agent_runs()[0].prompt


def test_somebody_who_may_not_write_gets_no_review(world: World) -> None:
    pull = world.pull({"app.py": "one\n"})
    comment = world.comment(pull, "/kugetsu review", by=READER)
    world.wait_for_reaction(comment, "-1")
    world.wait_quiet()
    assert world.reviews(pull) == []


def test_a_review_on_an_issue_is_refused_with_a_reason(world: World) -> None:
    issue = world.issue("Nothing to review")
    world.label(issue, "kugetsu/review")
    world.wait_until(lambda: world.said(issue, "refused"), "a refusal")
    assert "needs a pull request" in world.said(issue, "refused")[0]
    assert world.agent_runs() == []


def test_what_cannot_be_read_is_said_and_the_answer_stands_for_it(world: World) -> None:
    body = 'stub: run printf "{oops" > "$KUGETSU_TEMP_DIR/review.json"\nstub: say The change is sound.'
    pull = world.pull({"app.py": "one\n"}, body=body)
    world.label(pull, "kugetsu/review")
    world.wait_for_result(pull)
    (review,) = world.reviews(pull)
    assert "The change is sound." in review.body
    assert "not JSON" in review.body


def test_a_review_that_gitea_does_not_take_is_told_in_a_comment(world: World, fake: FakeGitea) -> None:
    pull = world.pull({"app.py": "one\n"}, body=f"stub: wait go\n{write_review('Fine.', remark(1, 'A word.'))}")
    world.label(pull, "kugetsu/review")
    world.wait_for_agents(1)
    fake.fail("POST .*/reviews", 422)
    world.let_go(pull, "go")
    result = world.wait_for_result(pull)
    assert world.reviews(pull) == []
    assert "Fine." in result
    assert "`app.py:1`: A word." in result


def test_closing_the_pull_request_cancels_its_review(world: World) -> None:
    pull = world.pull({"app.py": "one\n"}, body=f"stub: wait go\n{write_review('Fine.')}")
    world.label(pull, "kugetsu/review")
    world.wait_for_agents(1)
    world.close(pull)
    assert "closed the pull request" in world.wait_for_result(pull)
    assert world.reviews(pull) == []


def test_a_review_of_kugetsu_s_own_pull_request_disturbs_nothing(world: World) -> None:
    issue = world.issue("Start", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue).number
    world.wait_for_result(issue)
    world.comment(pull, f"/kugetsu review\n{write_review('Mine, and fine.', remark(1, 'Hm.'))}")
    world.wait_for_result(pull)
    assert places(world.reviews(pull)[0].comments) == {("app.py", 1, 0, "Hm.")}
    world.comment(issue, "/kugetsu go on\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "two"
    worked, reviewed, went_on = world.agent_runs()
    assert worked.session == went_on.session != reviewed.session
    assert worked.cwd == went_on.cwd != reviewed.cwd


def test_merging_frees_the_place_of_the_review_too(world: World) -> None:
    issue = world.issue("Start", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue).number
    world.wait_for_result(issue)
    world.comment(pull, f"/kugetsu review\n{write_review('Fine.')}")
    world.wait_for_result(pull)
    assert len(world.places()) == 2
    world.merge(pull)
    world.wait_for(lambda: world.places() == [], "the places to be gone")


def test_an_own_recipe_reviews(world: World) -> None:
    world.repository_says('[recipes.strict]\nbase = "review"\ninstructions = "Be strict."\n')
    issue = world.issue("Start", f"stub: write app.py one\n{write_review('Too short.')}")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue).number
    world.wait_for_result(issue)
    world.label(pull, "kugetsu/strict")
    world.wait_for_result(pull)
    assert "Be strict." in world.agent_runs()[1].prompt
    assert len(world.reviews(pull)) == 1


def test_a_lost_answer_makes_no_second_review(world: World, fake: FakeGitea) -> None:
    pull = world.pull({"app.py": "one\n"}, body=f"stub: wait go\n{write_review('Fine.', remark(1, 'A word.'))}")
    world.label(pull, "kugetsu/review")
    world.wait_for_agents(1)
    fake.drop_response("POST .*/reviews")
    world.let_go(pull, "go")
    world.wait_for_result(pull)
    assert len(world.reviews(pull)) == 1


def test_remarks_mention_nobody_and_tell_no_secret(world: World) -> None:
    said = remark(1, f"As @{READER} said, and {world.token} too.")
    pull = world.pull({"app.py": "one\n"}, body=write_review("Closes #1, says @bob.", said))
    world.label(pull, "kugetsu/review")
    world.wait_for_result(pull)
    (review,) = world.reviews(pull)
    text = review.body + review.comments[0].body
    assert f"@{READER}" not in text
    assert world.token not in text
    assert "Closes #1" not in text
