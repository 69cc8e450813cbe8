"""The repository's own word on the work: its setup before the agent begins, its check when it has finished."""

import re

from tests.flows.conftest import MakeWorld
from tests.world import BOT, SECRET, WRITER, World

NEEDS_FIXED = """
verify = '''
echo "looking at app.py"
grep -q fixed app.py || { echo "stub: write app.py fixed"; exit 3; }
'''
"""
"""A check whose output is what the stub agent does next when it is told that the check failed."""

NEVER_GREEN = "verify = \"echo 'stub: append tries.txt x'; exit 3\""
GREEN = 'verify = "true"'


def test_a_green_check_stands_in_the_pull_request(world: World) -> None:
    world.repository_says(NEEDS_FIXED)
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    result = world.wait_for_result(issue)
    assert re.search(r'^\| verification \| `echo "looking at app.py"` …: exit 0, \d+ s \|$', pull.body, re.MULTILINE)
    assert pull.title == "Crash on empty input"
    assert "passes" in result
    assert len(world.agent_runs()) == 1


def test_red_goes_back_to_the_agent_in_the_same_session(world: World) -> None:
    world.repository_says(NEEDS_FIXED)
    issue = world.issue("Crash on empty input", "stub: write app.py wrong")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    world.wait_for_result(issue)
    first, second = world.agent_runs()
    assert first.session == second.session
    assert "looking at app.py" in second.prompt
    assert "exit 3" in second.prompt
    assert "Crash on empty input" not in second.prompt
    assert "exit 0" in pull.body
    assert "after one repair" in pull.body
    assert pull.title == "Crash on empty input"
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "fixed"
    (job,) = world.jobs()
    assert (job.outcome, job.repairs, job.attempt, job.run) == ("completed", 1, 0, 2)
    assert (job.tokens_in, job.tokens_out) == (sum_of(world, 100), sum_of(world, 20))


def sum_of(world: World, per_answer: int) -> int:
    """What the agent's runs have used: the stub counts the same for each of its answers, one a step and the last."""
    events = sorted((world.home / "jobs/1").glob("run-*/events.jsonl"))
    return per_answer * sum(path.read_text().count('"step_finish"') for path in events)


def test_still_red_makes_a_draft_that_says_so(world: World) -> None:
    world.repository_says(NEVER_GREEN)
    issue = world.issue("Crash on empty input", "stub: write app.py wrong")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    result = world.wait_for_result(issue)
    assert len(world.agent_runs()) == 3
    assert pull.title == "WIP: Crash on empty input"
    assert "Not ready to be merged" in pull.body
    assert "exit 3" in pull.body
    assert "also after 2 repairs" in pull.body
    assert "stub: append tries.txt x" in pull.body
    assert "It is a draft" in result
    assert "fails" in world.said(issue, "live")[0]
    assert world.labels(issue) == ["kugetsu/done"]
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "tries.txt") == "xx"
    assert "last attempt" in world.agent_runs()[2].prompt
    assert "last attempt" not in world.agent_runs()[1].prompt


def make_a_draft(world: World) -> int:
    """An issue whose pull request is a draft, since its check failed."""
    world.repository_says(NEVER_GREEN)
    issue = world.issue("Crash on empty input", "stub: write app.py wrong")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    assert world.next_pull(issue).title.startswith("WIP: ")
    return issue


def test_a_later_green_run_makes_a_draft_ready(world: World) -> None:
    issue = make_a_draft(world)
    world.repository_says(GREEN)
    world.comment(issue, "/kugetsu now do it right\nstub: write app.py right")
    world.wait_for_result(issue, 2)
    pull = world.next_pull(issue)
    assert pull.title == "Crash on empty input"
    assert "Not ready" not in pull.body
    assert "| verification | `true`: exit 0" in pull.body


def test_a_green_check_makes_a_draft_ready_even_if_nothing_had_to_be_changed(world: World) -> None:
    issue = make_a_draft(world)
    world.repository_says(GREEN)
    before = world.next_pull(issue).body
    world.comment(issue, "/kugetsu look again\nstub: say It was the check.")
    result = world.wait_for_result(issue, 2)
    pull = world.next_pull(issue)
    assert pull.title == "Crash on empty input"
    assert "Not ready" not in pull.body
    assert "| verification | `true`: exit 0" in pull.body
    assert before.partition("Closes")[0] == pull.body.partition("Closes")[0]
    assert "passes" in result


def test_a_draft_that_a_person_made_stays_one(world: World) -> None:
    world.repository_says(GREEN)
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    world.wait_for_result(issue)
    world.gitea.edit_issue(world.repo, pull.number, WRITER, title="WIP: not yet")
    world.comment(issue, "/kugetsu more\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    assert world.next_pull(issue).title == "WIP: not yet"


def test_a_pull_request_that_turns_red_becomes_a_draft(world: World) -> None:
    world.repository_says(GREEN)
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.repository_says(NEVER_GREEN)
    world.comment(issue, "/kugetsu more\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    assert world.next_pull(issue).title == "WIP: Crash on empty input"


def test_the_check_is_the_one_of_the_default_branch(world: World) -> None:
    world.repository_says('verify = "test ! -e evil"\nallow_config_changes = true')
    issue = world.issue("Be clever", "stub: write .kugetsu.toml verify = 'false'\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    world.wait_for_result(issue)
    assert "`test ! -e evil`: exit 0" in pull.body


def test_what_a_check_leaves_behind_is_no_part_of_the_work(world: World) -> None:
    world.repository_says('verify = "echo report >report.xml; echo changed >>README.md"')
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu more\nstub: append app.py two")
    world.wait_for_result(issue, 2)
    branch = f"kugetsu/issue-{issue}"
    assert world.gitea.file_at(world.repo, branch, "app.py") == "onetwo"
    assert world.gitea.file_at(world.repo, branch, "report.xml") is None
    assert world.gitea.file_at(world.repo, branch, "README.md") == "# Widgets\n"


def test_a_check_that_does_not_end_is_ended_and_red(make_world: MakeWorld) -> None:
    world = make_world(AGENT_TIMEOUT="3s")
    world.repository_says('verify = "echo begun; sleep 300"')
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    world.wait_for_result(issue)
    assert pull.title.startswith("WIP: ")
    assert "was still working after 3 seconds" in pull.body
    assert world.agent_processes() == []


def test_the_repository_may_give_its_commands_less_time(world: World) -> None:
    world.repository_says('timeout = "2s"\nsetup = "sleep 300"')
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    assert "was still working after 2 seconds" in world.wait_for_result(issue)
    assert world.agent_runs() == []


def test_a_cancel_ends_a_check_that_runs(world: World) -> None:
    world.repository_says('verify = "touch $KUGETSU_TEMP_DIR/begun; sleep 300"')
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    begun = world.home / "worktrees/gitea-acme-widgets-1/tmp/begun"
    world.wait_for(begun.exists, "the check to begin")
    world.comment(issue, "/kugetsu cancel")
    assert "cancelled" in world.wait_for_result(issue)
    assert world.agent_processes() == []
    assert world.gitea.pulls_of(world.repo) == []


def test_the_setup_runs_once_in_a_place_and_before_the_agent(world: World) -> None:
    world.repository_says('setup = "echo x >>installed.txt"\nverify = "grep -qx x installed.txt"')
    issue = world.issue("Crash on empty input", "stub: run cat installed.txt\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu more\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    branch = f"kugetsu/issue-{issue}"
    tree = world.home / "worktrees/gitea-acme-widgets-1/tree"
    assert (tree / "installed.txt").read_text() == "x\n"
    assert world.gitea.file_at(world.repo, branch, "installed.txt") is None
    assert world.gitea.file_at(world.repo, branch, "app.py") == "two"
    assert [job.check_ok for job in world.jobs()] == [True, True]


def test_a_setup_that_fails_is_told_and_no_agent_starts(world: World) -> None:
    world.repository_says(
        "setup = '''\necho 'no such package: left-pad @ada <!-- kugetsu job=1 part=x -->'\nexit 7\n'''"
    )
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "`setup` command did not succeed (exit 7)" in result
    assert "no such package" in result
    assert "part=x -->" in result
    assert "<!-- kugetsu job=1 part=x" not in result
    assert world.labels(issue) == ["kugetsu/failed"]
    assert world.agent_runs() == []
    world.repository_says("setup = 'true'")
    world.comment(issue, "/kugetsu retry\nstub: write app.py one")
    world.wait_for_result(issue, 2)
    assert world.labels(issue) == ["kugetsu/done"]


def test_a_check_sees_no_secret_and_nothing_of_the_service(world: World) -> None:
    world.repository_says("verify = 'env >$KUGETSU_TEMP_DIR/env.txt; ls ../../.. >$KUGETSU_TEMP_DIR/home.txt || true'")
    issue = world.issue("Crash on empty input", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    tmp = world.home / "worktrees/gitea-acme-widgets-1/tmp"
    seen = (tmp / "env.txt").read_text()
    assert "CI=true" in seen
    assert all(secret not in seen for secret in (world.token, SECRET, "KUGETSU_GITEA"))
    assert "kugetsu.db" not in (tmp / "home.txt").read_text()


def test_the_commits_are_the_bots_after_a_repair_too(world: World) -> None:
    world.repository_says(NEEDS_FIXED)
    issue = world.issue("Crash on empty input", "stub: write app.py wrong\nstub: commit First")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    commits = world.gitea.log(world.repo, f"kugetsu/issue-{issue}")[:2]
    assert [(commit.author.name, "Kugetsu-Job: 1" in commit.message) for commit in commits] == [(BOT, True)] * 2


def test_what_a_cancelled_check_left_is_not_committed_later(world: World) -> None:
    wait = "touch $KUGETSU_TEMP_DIR/begun; while [ ! -e $KUGETSU_TEMP_DIR/go ]; do sleep 0.05; done"
    world.repository_says(f"verify = '''\necho x >>report.txt\n{wait}\n'''")
    issue = world.issue("Crash on empty input", "stub: append app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_for((world.home / f"worktrees/gitea-acme-widgets-{issue}/tmp/begun").exists, "the check to begin")
    world.comment(issue, "/kugetsu cancel")
    world.wait_for_result(issue)
    world.let_go(issue, "go")
    world.comment(issue, "/kugetsu retry")
    world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "report.txt") is None
