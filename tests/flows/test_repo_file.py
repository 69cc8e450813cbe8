"""`.kugetsu.toml` on the default branch: recipes of the repository's own, and what it allows, forbids and prefers."""

from tests.world import READER, WRITER, World

AUDIT = """
[recipes.audit]
base = "research"
instructions = "Look for places where input is trusted."
model = "acme/careful"
"""


def test_a_label_of_its_own_recipe_is_an_ask(world: World) -> None:
    world.repository_says(AUDIT)
    issue = world.issue("Before the release", "stub: say All is well.")
    world.label(issue, "kugetsu/audit")
    result = world.wait_for_result(issue)
    assert "All is well." in result
    assert "audit" in result
    (run,) = world.agent_runs()
    assert "Look for places where input is trusted." in run.prompt
    assert run.argv[run.argv.index("--model") + 1] == "acme/careful"
    assert world.gitea.pulls_of(world.repo) == []


def test_kugetsu_makes_the_labels_of_own_recipes(world: World) -> None:
    world.repository_says(AUDIT)
    issue = world.issue("Anything", "stub: say Done.")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    assert "kugetsu/audit" in world.gitea.label_names(world.repo)


def test_a_recipe_nobody_knows_is_refused_with_those_there_are(world: World) -> None:
    world.repository_says(AUDIT)
    issue = world.issue("Before the release")
    world.label(issue, "kugetsu/adit")
    world.wait_until(lambda: world.said(issue, "refused"), "a refusal")
    assert "`kugetsu/audit`" in world.said(issue, "refused")[0]
    world.wait_quiet()
    assert world.agent_runs() == []


def test_a_broken_file_is_told_once_and_the_last_good_one_holds(world: World) -> None:
    world.repository_says('model = "acme/good"\n')
    issue = world.issue("Anything", "stub: say First.")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.repository_says('model = "acme/new"\nverifi = "make test"\n')
    for number in (2, 3):
        world.comment(issue, f"/kugetsu go on\nstub: say Number {number}.")
        world.wait_for_result(issue, number)
    (told,) = [text for text in world.said(issue) if "cannot be used" in text]
    assert "`verifi` is not a key; the nearest one is `verify`" in told
    models = [run.argv[run.argv.index("--model") + 1] for run in world.agent_runs()]
    assert models == ["acme/good"] * 3


def test_who_it_allows_may_ask_without_write_permission(world: World) -> None:
    world.repository_says(f'allow_users = ["{READER}"]\n')
    issue = world.issue("Please", by=READER)
    world.comment(issue, "/kugetsu do it\nstub: write app.py new", by=READER)
    world.next_pull(issue)
    world.wait_for_result(issue)
    assert "stub: write app.py new" in world.agent_runs()[0].prompt


def test_the_branch_under_work_allows_nobody(world: World) -> None:
    world.gitea.push(world.repo, "topic", {".kugetsu.toml": f'allow_users = ["{READER}"]\n'}, WRITER)
    issue = world.issue("Please", by=READER)
    comment = world.comment(issue, "/kugetsu do it", by=READER)
    world.wait_for_reaction(comment, "-1")
    world.wait_quiet()
    assert world.agent_runs() == []


def test_the_comment_s_model_comes_before_the_file_s(world: World) -> None:
    world.repository_says('model = "acme/usual"\n')
    issue = world.issue("Anything")
    world.comment(issue, "/kugetsu --model acme/special go\nstub: say Done.")
    world.wait_for_result(issue)
    (run,) = world.agent_runs()
    assert run.argv[run.argv.index("--model") + 1] == "acme/special"


def test_its_timeout_ends_a_run(world: World) -> None:
    world.repository_says('timeout = "1s"\n')
    issue = world.issue("Endless", "stub: sleep 300")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "was ended" in result
    assert world.labels(issue) == ["kugetsu/failed"]


def test_a_workflow_is_not_pushed(world: World) -> None:
    issue = world.issue("Add a pipeline", "stub: write .gitea/workflows/x.yaml run")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "`.gitea/workflows/x.yaml`" in result
    assert "allow_workflow_changes" in result
    assert world.labels(issue) == ["kugetsu/failed"]
    assert list(world.gitea.branches_of(world.repo)) == ["main"]


def test_a_workflow_is_pushed_where_the_file_allows_it(world: World) -> None:
    world.repository_says("allow_workflow_changes = true\n")
    issue = world.issue("Add a pipeline", "stub: write .gitea/workflows/x.yaml run")
    world.label(issue, "kugetsu/code")
    world.next_pull(issue)
    world.wait_for_result(issue)


def test_what_it_forbids_is_not_pushed(world: World) -> None:
    world.repository_says('forbidden = ["infra/**", "*.lock"]\n')
    issue = world.issue("Change things", "stub: write app.py new\nstub: write deep/down/poetry.lock x")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "`deep/down/poetry.lock`" in result
    assert 'forbidden = "*.lock"' in result
    assert list(world.gitea.branches_of(world.repo)) == ["main"]


def test_what_was_held_back_can_be_taken_back(world: World) -> None:
    issue = world.issue("Add a pipeline", "stub: write .github/workflows/x.yaml run\nstub: write app.py new")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu without the pipeline\nstub: delete .github/workflows/x.yaml")
    world.wait_for_result(issue, 2)
    branch = f"kugetsu/issue-{issue}"
    assert world.gitea.file_at(world.repo, branch, "app.py") == "new"
    assert world.gitea.file_at(world.repo, branch, ".github/workflows/x.yaml") is None


def test_a_workflow_that_a_person_pushed_holds_nothing_back(world: World) -> None:
    issue = world.issue("Start", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    branch = f"kugetsu/issue-{issue}"
    world.gitea.push(world.repo, branch, {".gitea/workflows/x.yaml": "theirs"}, WRITER)
    world.comment(issue, "/kugetsu more\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, branch, "app.py") == "two"
    assert world.gitea.file_at(world.repo, branch, ".gitea/workflows/x.yaml") == "theirs"
