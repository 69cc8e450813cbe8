"""What the gate before a push lets through."""

import time

import pytest

from jobs.gate import Closed, check, matches


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*.lock", "poetry.lock"),
        ("*.lock", "a/b/poetry.lock"),
        ("*.lock", "A/B/POETRY.LOCK"),
        ("infra/**", "infra/a/b.tf"),
        ("infra", "infra/a/b.tf"),
        ("infra/", "infra/a"),
        ("infra", "deep/infra/a"),
        ("/infra", "infra/a"),
        ("src/*.py", "src/a.py"),
        ("src/**/a.py", "src/a.py"),
        ("src/**/a.py", "src/x/y/a.py"),
        ("**/secret/**", "a/secret/b"),
        ("**/secret/**", "secret/b/c"),
        ("[ab].txt", "b.txt"),
        ("[!ab].txt", "c.txt"),
        ("**", "anything/at/all"),
        ("a[", "a["),
    ],
)
def test_what_a_glob_means(glob: str, path: str) -> None:
    assert matches(glob, path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*.lock", "lock"),
        ("infra/**", "infra"),
        ("/infra", "deep/infra/a"),
        ("src/*.py", "src/x/a.py"),
        ("[!ab].txt", "a.txt"),
        ("[z-a]", "x"),
        ("secret", "secrets"),
        ("a/b", "x/a/b"),
        ("", "a"),
        ("/", "a"),
    ],
)
def test_what_a_glob_does_not_mean(glob: str, path: str) -> None:
    assert not matches(glob, path)


def test_no_glob_takes_long() -> None:
    began = time.process_time()
    assert not matches("**/a*a*a*a*a*b/" * 30 + "x", "a" * 60 + ("/" + "a" * 60) * 60)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "path", [".gitea/workflows/x.yaml", ".GitHub/Workflows/x.yml", ".forgejo/workflows", ".github"]
)
def test_workflows_are_closed(path: str) -> None:
    assert check(["app.py", path], forbidden=(), workflows_allowed=False) == Closed("allow_workflow_changes", path)
    assert check(["app.py", path], forbidden=(), workflows_allowed=True) is None


@pytest.mark.parametrize(
    "path", [".github/ISSUE_TEMPLATE/bug.md", "docs/.github/workflows/x.yaml", ".gitea/labels.yaml"]
)
def test_beside_workflows_all_is_open(path: str) -> None:
    assert check([path], forbidden=(), workflows_allowed=False) is None


def test_the_rule_and_the_path_are_named() -> None:
    closed = check(["b.lock", "a.lock", "app.py"], forbidden=("infra/**", "*.lock"), workflows_allowed=False)
    assert closed == Closed('forbidden = "*.lock"', "a.lock")
