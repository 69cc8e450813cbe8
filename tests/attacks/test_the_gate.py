"""The agent's work brings what must not be pushed. The gate names each by rule and path; without it the server would
take it, which is the control in every test here.
"""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import gate
from jobs.gate import Closed
from jobs.inspection import inspect
from jobs.mirror import Mirror
from jobs.redact import Redactor
from jobs.standing import Target
from jobs.work import Limits, Work
from models.repofile import RepoFile
from tests.fakes.imports import COMMIT_ELSEWHERE, LINK, SUBMODULE, Put, Repository, Tree
from tests.fakes.workspaces import BOT

TOKEN = "wJalrXUtnFEMIk7MDENGbPxRfiCYEXAMPLEKEYxx"
OPEN = RepoFile(allow_workflow_changes=True, allow_config_changes=True, allow_secrets_in=("**",))
TARGET = Target("gitea", "acme/widgets", 7, "http://127.0.0.1/acme/widgets.git", None, "main", "kugetsu/issue-7")
GITHUB_TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    base: Tree = {
        b"app.py": Put(b"print(1)\n"),
        b"docs/Guide.md": Put(b"read me\n"),
        b"src/link": Put(b"deep/er/../../../app.py", LINK),
        b"src/deep/er/x": Put(b"x"),
        b"old.env": Put(f"TOKEN={GITHUB_TOKEN}\n".encode()),
        b".gitattributes": Put(b"*.png binary\n"),
    }
    return Repository(tmp_path_factory.mktemp("gate"), base)


def look(repository: Repository, commit: str) -> Work:
    return inspect(Mirror(repository.path), TARGET, commit, BOT, Redactor([TOKEN]))


def closings(repository: Repository, commit: str, file: RepoFile | None = None) -> list[Closed]:
    """What closes the gate for a commit that the server itself would take."""
    assert repository.takes(commit), "the control: nothing but the gate is in the way"
    return gate.check(look(repository, commit), file or RepoFile())


def named(closed: list[Closed]) -> list[tuple[str, str]]:
    return [(each.rule, each.path) for each in closed]


def test_ordinary_work_passes(repository: Repository) -> None:
    tree: Tree = {
        b"app.py": Put(b"print(2)\n"),
        b"src/new/\xc3\xa4.py": Put(b"x = 1\n"),
        b"AGENTS.md": Put(b"Be brief.\n"),
        b"src/near": Put(b"../docs/Guide.md", LINK),
        b".gitattributes": Put(b"*.png binary\n*.bin filter=lfs diff=lfs merge=lfs -text\n"),
        b".github/ISSUE_TEMPLATE/bug.md": Put(b"What happened?\n"),
    }
    assert closings(repository, repository.commit([tree])) == []


CI = [
    *(".gitea/workflows/x.yaml", ".github/workflows/x.yml", ".forgejo/workflows/a", ".github/actions/build/action.yml"),
    *(
        ".woodpecker.yml",
        ".woodpecker/test.yaml",
        ".drone.yml",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        "ci/Jenkinsfile.nightly",
    ),
    *(".circleci/config.yml", "azure-pipelines.yml", ".travis.yml"),
]


def test_orders_to_a_server_that_builds(repository: Repository) -> None:
    commit = repository.commit([{path.encode(): Put(b"run: curl evil\n") for path in CI}])
    assert named(closings(repository, commit)) == [("allow_workflow_changes", path) for path in sorted(CI)]
    assert closings(repository, commit, RepoFile(allow_workflow_changes=True)) == []


TOOLS = [
    *(".opencode/plugin/x.ts", "opencode.json", "sub/opencode.jsonc", ".claude/settings.json", ".cursor/mcp.json"),
    *(".mcp.json", ".vscode/tasks.json", ".husky/pre-commit", ".githooks/post-checkout", ".pre-commit-config.yaml"),
    *("lefthook.yml", ".lfsconfig", ".kugetsu.toml", ".devcontainer/devcontainer.json", ".envrc"),
]


def test_what_agents_hooks_and_editors_run(repository: Repository) -> None:
    commit = repository.commit([{path.encode(): Put(b"evil\n") for path in TOOLS}])
    assert named(closings(repository, commit)) == [("allow_config_changes", path) for path in sorted(TOOLS)]
    assert closings(repository, commit, RepoFile(allow_config_changes=True)) == []


def test_a_filter_of_git_s(repository: Repository) -> None:
    commit = repository.commit([{b".gitattributes": Put(b"*.png binary\n*.py filter=indent\n")}])
    assert named(closings(repository, commit)) == [("allow_config_changes", ".gitattributes")]


def test_a_submodule(repository: Repository) -> None:
    modules = b'[submodule "x"]\n\tpath = x\n\turl = http://evil.example\n'
    commit = repository.commit([{b"x": Put(COMMIT_ELSEWHERE, SUBMODULE), b".gitmodules": Put(modules)}])
    assert named(closings(repository, commit)) == [
        ("allow_config_changes", ".gitmodules"),
        ("allow_config_changes", "x"),
    ]


@pytest.mark.parametrize(
    "aim", ["/etc/shadow", "../../etc/passwd", "deep/../../../x", "../.git/config", "deep/er/../../../../x", "a" * 5000]
)
def test_a_link_out_of_the_tree(repository: Repository, aim: str) -> None:
    commit = repository.commit([{b"src/evil": Put(aim.encode(), LINK)}])
    assert named(closings(repository, commit, OPEN)) == [("links", "src/evil")]


def test_a_link_that_turns_another_one(repository: Repository) -> None:
    """Each looks harmless: `src/link` has been there for long, and only a folder on its way becomes a link."""
    tree: Tree = {b"src/deep/er/x": None, b"src/deep/er": Put(b"../../docs", LINK)}
    found = named(closings(repository, repository.commit([tree]), OPEN))
    assert found == [("links", "src/link")]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (b"a\nb.py", "cannot be seen"),
        (b"a\x1b[2J.py", "cannot be seen"),
        ("pay\u202egnp.exe".encode(), "cannot be seen"),
        ("ap\u200bp.py".encode(), "cannot be seen"),
        (b"caf\xe9.txt", "not UTF-8"),
        (b"src\\evil.py", "backslash"),
        (".\uff47it/config".encode(), "git's own folder"),
    ],
)
def test_a_name_that_is_not_what_it_seems(repository: Repository, path: bytes, why: str) -> None:
    (closed,) = closings(repository, repository.commit([{path: Put(b"x")}]), OPEN)
    assert closed.rule == "names"
    assert why in closed.why
    assert str(closed).isprintable()


@pytest.mark.parametrize("path", ["APP.py", "Docs/evil.md", "docs/guide.MD"])
def test_a_name_that_falls_together_with_another(repository: Repository, path: str) -> None:
    commit = repository.commit([{path.encode(): Put(b"evil\n")}])
    assert named(closings(repository, commit, OPEN)) == [("names", path)]


def test_a_file_too_large_and_too_much_of_all(repository: Repository) -> None:
    work = look(
        repository, repository.commit([{b"a.bin": Put(b"x" * 3000)}, {b"a.bin": None, b"b.bin": Put(b"y" * 2000)}])
    )
    assert gate.check(work, OPEN) == []
    tight = replace(work, limits=Limits(file=2500, total=4000, files=0))
    assert [(each.rule, each.path) for each in gate.check(tight, OPEN)] == [
        ("size", "a.bin"),
        ("size", "a.bin"),
        ("count", "b.bin"),
    ]


def test_a_file_of_thirty_megabytes(repository: Repository) -> None:
    (closed,) = closings(repository, repository.commit([{b"dump.sql": Put(bytes(30 << 20))}]), OPEN)
    assert str(closed) == "`dump.sql` has 30.0 MiB; at most 20.0 MiB are pushed (rule `size`)"


WAYS = {
    "plain": TOKEN.encode(),
    "base64": base64.b64encode(b"x" + TOKEN.encode()),
    "hex": TOKEN.encode().hex().encode(),
    "url": "".join(f"%{byte:02X}" for byte in TOKEN.encode()).encode(),
    "utf-16": TOKEN.encode("utf-16"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_of_ours_in_a_file(repository: Repository, way: str) -> None:
    commit = repository.commit([{b"notes.txt": Put(b"look: " + WAYS[way] + b"\n")}])
    (closed,) = closings(repository, commit, OPEN)
    assert (closed.rule, closed.path) == ("secrets", "notes.txt")
    assert TOKEN not in str(closed)


def test_a_secret_that_a_later_commit_takes_away(repository: Repository) -> None:
    commit = repository.commit([{b"notes.txt": Put(TOKEN.encode())}, {b"notes.txt": None}])
    assert named(closings(repository, commit, OPEN)) == [("secrets", "notes.txt")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("GitHub Token", GITHUB_TOKEN),
        ("AWS Access Key", "AKIA" + "Q3EGRIWHTZ5NLB7A"),
        ("Private Key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
        ("Anthropic Key", "sk-ant-" + "api03-" + "xY3_" * 12),
    ],
)
def test_somebody_s_token_in_a_file(repository: Repository, kind: str, text: str) -> None:
    commit = repository.commit([{b"conf/settings.py": Put(f"KEY = '''{text}'''\n".encode())}])
    (closed,) = closings(repository, commit)
    assert (closed.rule, closed.path) == ("allow_secrets_in", "conf/settings.py")
    assert closed.why.endswith(kind)
    assert closings(repository, commit, RepoFile(allow_secrets_in=("conf/",))) == []


def test_what_was_there_before_is_no_news(repository: Repository) -> None:
    moved = repository.commit([{b"old.env": None, b"conf/old.env": Put(f"A=1\nTOKEN={GITHUB_TOKEN}\n".encode())}])
    edited = repository.commit([{b"old.env": Put(f"TOKEN={GITHUB_TOKEN}\nB=2\n".encode())}])
    assert closings(repository, moved) == closings(repository, edited) == []


def test_a_history_that_descends_from_nothing(repository: Repository) -> None:
    commit = repository.commit([{b"app.py": Put(b"evil\n")}], start=None)
    assert named(closings(repository, commit, OPEN)) == [("history", commit)]


def test_a_commit_that_claims_to_be_somebody_s(repository: Repository) -> None:
    commit = repository.commit([{b"app.py": Put(b"print(3)\n")}], by="Linus Torvalds <torvalds@example.test>")
    assert named(closings(repository, commit, OPEN)) == [("identity", commit)]


def test_forbidden_paths(repository: Repository) -> None:
    commit = repository.commit([{b"INFRA/main.tf": Put(b"x"), b"b.lock": Put(b"x"), b"c.py": Put(b"x")}])
    found = closings(repository, commit, RepoFile(forbidden=("infra/**", "*.lock")))
    assert named(found) == [('forbidden = "infra/**"', "INFRA/main.tf"), ('forbidden = "*.lock"', "b.lock")]


@pytest.mark.parametrize("folder", [Path("docs"), Path("src/deep")])
def test_a_folder_that_becomes_a_link(repository: Repository, folder: Path) -> None:
    inner = {"docs": b"docs/Guide.md", "src/deep": b"src/deep/er/x"}[str(folder)]
    tree: Tree = {inner: None, str(folder).encode(): Put(b"/tmp", LINK)}
    assert ("links", str(folder)) in named(closings(repository, repository.commit([tree]), OPEN))
