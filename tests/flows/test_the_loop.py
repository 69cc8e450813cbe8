"""The main job: a label or a comment becomes a pull request, and the issue says how it goes."""

from tests.world import BOT, READER, WRITER, World


def test_a_label_becomes_a_pull_request(world: World) -> None:
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    result = world.wait_for_result(issue)
    assert f"@{WRITER}" in result
    assert f"#{pull.number}" in result
    assert f"Closes #{issue}" in pull.body
    assert world.labels(issue) == ["kugetsu/done"]
    assert [len(world.said(issue, part)) for part in ("live", "result")] == [1, 1]
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "fixed"
    commit = world.gitea.log(world.repo, f"kugetsu/issue-{issue}")[0]
    assert (commit.author.name, "Kugetsu-Job: 1" in commit.message) == (BOT, True)
    assert len(world.jobs()) == 1


def test_a_comment_becomes_a_pull_request(world: World) -> None:
    issue = world.issue("Crash on empty input")
    comment = world.comment(issue, "/kugetsu please mend it\nstub: write app.py fixed")
    world.next_pull(issue)
    world.wait_for_result(issue)
    world.wait_for_reaction(comment, "eyes")


def test_every_name_it_answers_to(world: World) -> None:
    issues = []
    for name in ("/kugetsu", "/oc", "/opencode", f"@{BOT}"):
        issues.append(issue := world.issue(f"Called by {name}"))
        comment = world.comment(issue, f"{name} mend it\nstub: write app.py fixed")
        world.wait_for_reaction(comment, "eyes")
    for issue in issues:
        world.next_pull(issue)
        world.wait_for_result(issue)


def test_a_follow_up_continues_on_the_same_branch(world: World) -> None:
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu and now the readme\nstub: write README.md two")
    world.wait_for_result(issue, 2)
    pulls = world.gitea.pulls_of(world.repo)
    assert len(pulls) == 1
    branch = f"kugetsu/issue-{issue}"
    assert world.gitea.file_at(world.repo, branch, "app.py") == "one"
    assert world.gitea.file_at(world.repo, branch, "README.md") == "two"


def test_nothing_to_change_is_a_good_outcome(world: World) -> None:
    issue = world.issue("Is this right?", "stub: say It is right as it is.")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "It is right as it is." in result
    assert world.gitea.pulls_of(world.repo) == []
    assert world.labels(issue) == ["kugetsu/done"]


def test_a_reader_may_not_ask_and_is_told_once(world: World) -> None:
    issue = world.issue("Do my homework")
    first = world.comment(issue, "/kugetsu do it", by=READER)
    world.wait_until(lambda: world.said(issue, "refused"), "a refusal")
    second = world.comment(issue, "/kugetsu do it now", by=READER)
    for comment in (first, second):
        world.wait_for_reaction(comment, "-1")
    world.wait_quiet()
    assert len(world.said(issue)) == 1
    assert world.gitea.pulls_of(world.repo) == []


def test_a_label_on_a_new_issue_by_a_reader_is_no_ask(world: World) -> None:
    world.gitea.create_label(world.repo, "kugetsu/code", exclusive=True)
    issue = world.gitea.open_issue(world.repo, READER, "Give me a token", "please", ["kugetsu/code"]).number
    world.wait_until(lambda: world.said(issue, "refused"), "a refusal")
    world.wait_quiet()
    assert world.gitea.pulls_of(world.repo) == []


def test_a_resend_and_a_second_hook_do_nothing_twice(world: World) -> None:
    world.gitea.hook("acme", f"{world.halves.url}/webhook", "a-secret-of-the-webhook")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.comment(issue, "/kugetsu mend it")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.wait_quiet()
    jobs = len(world.jobs())
    for delivery in list(world.gitea.deliveries):
        world.gitea.redeliver(delivery)
    world.gitea.settle()
    world.wait_quiet()
    assert len(world.jobs()) == jobs
    assert len(world.gitea.pulls_of(world.repo)) == 1


def test_a_commit_message_of_the_agents_closes_nothing_and_tells_no_secret(world: World) -> None:
    issue = world.issue("Trouble", f"stub: write app.py fixed\nstub: commit closes #99, ask @bob, {world.token}")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    message = world.gitea.log(world.repo, f"kugetsu/issue-{issue}")[0].message
    assert message.startswith("closes #")
    assert "#99" not in message
    assert "@bob" not in message
    assert world.token not in message
