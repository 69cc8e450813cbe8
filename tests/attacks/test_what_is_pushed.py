"""An agent that needs no persuasion tries to have its evil work pushed; what became of it stands on the issue."""

import pytest

from jobs import gate
from tests.world import World

EVIL = r"""stub: write .gitea/workflows/x.yaml run
stub: write .husky/pre-commit evil
stub: run ln -s /etc/shadow passwords
stub: run git init -q vendor && git -C vendor commit -q --allow-empty -m x
stub: write notes.md {token}
stub: run git add notes.md passwords .husky .gitea && git commit -qm Work"""


def plan(world: World) -> int:
    return world.issue("Tidy up", EVIL.replace("{token}", world.token[:20] + "\\n" + world.token))


def test_evil_work_is_not_pushed_and_each_reason_is_told(world: World) -> None:
    issue = plan(world)
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    for reason in (
        "`notes.md` would hold a secret of this service (rule `secrets`)",
        "`passwords` is a link that leads out of the repository (rule `links`)",
        "`.gitea/workflows/x.yaml` is an order to the server that builds this repository (rule `allow_workflow",
        "`.husky/pre-commit` sets up agents, editors or git for whoever checks this out (rule `allow_config_changes`)",
        "`vendor` would change a submodule (rule `allow_config_changes`)",
    ):
        assert reason in result
    assert world.labels(issue) == ["kugetsu/failed"]
    assert list(world.gitea.branches_of(world.repo)) == ["main"]
    (place,) = world.places()
    assert (place / "tree" / "notes.md").read_text().endswith(world.token), "the work stays for a person to look at"


def test_without_the_gate_it_would_be_pushed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: all of it arrives on the server."""
    monkeypatch.setattr(gate, "check", lambda _work, _file: [])
    issue = plan(world)
    world.label(issue, "kugetsu/code")
    world.next_pull(issue)
    world.wait_for_result(issue)
    notes = world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "notes.md")
    assert notes is not None
    assert world.token in notes
