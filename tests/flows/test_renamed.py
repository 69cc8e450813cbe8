"""A repository that gets another name while work goes on in it: nothing of that is lost, and nothing runs twice."""

from tests.flows.conftest import MakeWorld
from tests.world import BOT, SECRET, WRITER, World

INTERVAL = "1s"


def at_work(make_world: MakeWorld) -> tuple[World, int]:
    """An agent waits for `go`."""
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    issue = world.issue("Crash", "stub: wait go\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(issue), "the session to be known")
    return world, issue


def rename(world: World, name: str) -> None:
    """Somebody gives the repository another name; Kugetsu has seen it when this returns."""
    world.rename(name)
    with world.database() as database:
        sql = "SELECT count(*) FROM repo WHERE name = ?"
        world.wait_for(
            lambda: bool(database.execute_sql(sql, (world.repo,)).fetchone()[0]),  # type: ignore[no-untyped-call]
            "the new name to be known",
        )


def test_what_an_agent_makes_while_its_repository_is_renamed_becomes_a_pull_request(make_world: MakeWorld) -> None:
    world, issue = at_work(make_world)
    rename(world, "gadgets")
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "one"
    assert [(job.outcome, job.run, job.crashes) for job in world.jobs()] == [("completed", 1, 0)]
    assert len(world.places()) == 1


def test_a_worker_that_starts_after_the_renaming_takes_the_agent_over(make_world: MakeWorld) -> None:
    world, issue = at_work(make_world)
    rename(world, "gadgets")
    world.halves.stop_worker()
    world.halves.start_worker()
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert [(job.outcome, job.run, job.crashes) for job in world.jobs()] == [("completed", 1, 0)]
    assert len(world.agent_runs()) == 1
    assert len(world.places()) == 1


def test_a_conversation_goes_on_in_its_session_and_with_work_that_was_not_pushed(make_world: MakeWorld) -> None:
    world, issue = at_work(make_world)
    world.comment(issue, "/kugetsu cancel")
    world.wait_for_result(issue)
    (world.places()[0] / "tree" / "notes.txt").write_text("not pushed")
    rename(world, "gadgets")
    world.comment(issue, "/kugetsu go on\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "notes.txt") == "not pushed"
    assert len({run.session for run in world.agent_runs()}) == 1
    assert len(world.places()) == 1


def test_another_repository_under_the_old_name_has_folders_of_its_own(make_world: MakeWorld) -> None:
    world, issue = at_work(make_world)
    old = world.repo
    rename(world, "gadgets")
    renamed = world.repo
    world.gitea.repo(old, files={"other.py": "pass\n"}, collaborators={WRITER: "write", BOT: "admin"})
    world.gitea.hook(old, f"{world.halves.url}/webhook", SECRET)
    world.repo = old
    same_number = world.issue("Another crash", "stub: write other.py two")
    assert same_number == issue
    world.label(same_number, "kugetsu/code")
    world.wait_for_label(same_number, "kugetsu/done")
    world.repo = renamed
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert len(world.places()) == 2
    assert world.gitea.file_at(renamed, f"kugetsu/issue-{issue}", "app.py") == "one"
    assert world.gitea.file_at(old, f"kugetsu/issue-{issue}", "other.py") == "two"
    assert world.gitea.file_at(old, f"kugetsu/issue-{issue}", "app.py") is None
