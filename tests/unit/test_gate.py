"""What the gate before a push lets through."""

import time

import pytest

from jobs.gate import check, folded, shown
from jobs.globs import matches
from jobs.work import Change, Finding, Work
from models.repofile import RepoFile


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


def work(*paths: str) -> Work:
    return Work(changes=tuple(Change(path, 0o100644, 0o100644, "1" * 40, "2" * 40) for path in paths))


@pytest.mark.parametrize(
    "path", [".gitea/workflows/x.yaml", ".GitHub/Workflows/x.yml", ".forgejo/workflows", ".github", ".woodpecker.yaml"]
)
def test_workflows_are_closed(path: str) -> None:
    (closed,) = check(work("app.py", path), RepoFile())
    assert (closed.rule, closed.path) == ("allow_workflow_changes", path)
    assert check(work("app.py", path), RepoFile(allow_workflow_changes=True)) == []


@pytest.mark.parametrize(
    "path",
    [
        *(".github/ISSUE_TEMPLATE/bug.md", "docs/.github/workflows/x.yaml", ".gitea/labels.yaml", "AGENTS.md"),
        *("src/woodpecker.yml", "tasks.json", "opencode.py", "docs/jenkinsfile-syntax.md", ".github2", ".gitignore"),
    ],
)
def test_beside_them_all_is_open(path: str) -> None:
    assert check(work(path), RepoFile()) == []


def test_each_rule_and_path_is_named() -> None:
    file = RepoFile(forbidden=("infra/**", "*.lock"))
    closed = check(work("b.lock", ".husky/x", "app.py", "a.lock"), file)
    assert [(each.rule, each.path) for each in closed] == [
        ("allow_config_changes", ".husky/x"),
        ('forbidden = "*.lock"', "a.lock"),
        ('forbidden = "*.lock"', "b.lock"),
    ]
    assert str(closed[1]) == '`a.lock` is not to be changed by an agent (rule `forbidden = "*.lock"`)'


def test_no_key_opens_the_gate_for_our_own_secrets() -> None:
    found = Work(findings=(Finding("tests/a", "", known=True), Finding("tests/b", "JSON Web Token")))
    (closed,) = check(found, RepoFile(allow_secrets_in=("tests/**",)))
    assert (closed.rule, closed.path) == ("secrets", "tests/a")


@pytest.mark.parametrize(("one", "other"), [("A/ß", "a/SS"), ("caf\u00e9", "cafe\u0301"), ("Ǆ", "ǆ")])
def test_what_some_disks_take_for_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_a_path_is_shown_as_code_whatever_it_holds() -> None:
    assert shown("a`b\n\x1b\udce9c") == "a'b\\n\\x1b\\udce9c"
    assert shown("x" * 900) == "x" * 200 + "…"
