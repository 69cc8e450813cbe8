"""Paths by which a repository runs something on other people's machines: what builds it, and what sets up their tools.

All names are compared without regard to case.
"""

from typing import Final

_CI_FOLDERS: Final = (
    *(f".{forge}/{kind}" for forge in ("gitea", "github", "forgejo") for kind in ("workflows", "actions")),
    *(".woodpecker", ".crow", ".circleci", ".buildkite", ".teamcity", ".tekton", ".builds", ".semaphore", ".agola"),
    *(".azure-pipelines", ".gitlab/ci", ".drone"),
)
"""From the root: the folders, what is in them, and whatever else could stand in their place."""

_CI_FILES: Final = frozenset(
    f"{name}{ending}"
    for name in (
        ".woodpecker",
        ".crow",
        ".drone",
        ".gitlab-ci",
        ".travis",
        ".appveyor",
        "appveyor",
        ".cirrus",
        ".build",
    )
    for ending in (".yml", ".yaml")
) | {
    *(".drone.jsonnet", ".drone.star", ".cirrus.star"),
    *("azure-pipelines.yml", "azure-pipelines.yaml", "bitbucket-pipelines.yml", "buildspec.yml", "buildspec.yaml"),
    *("cloudbuild.yaml", "cloudbuild.yml", "cloudbuild.json"),
}
"""In the root."""

_TOOL_FOLDERS: Final = frozenset(
    {
        *(".opencode", ".claude", ".cursor", ".gemini", ".codex", ".continue", ".windsurf", ".roo", ".kilocode"),
        *(".cline", ".clinerules", ".amazonq", ".kiro", ".junie", ".zed", ".devcontainer"),
        *(".husky", ".githooks", ".git-hooks", ".lefthook"),
    }
)
"""In any folder."""

_TOOL_FILES: Final = frozenset(
    {
        *("opencode.json", "opencode.jsonc", ".mcp.json", ".aider.conf.yml", ".devcontainer.json", ".kugetsu.toml"),
        *(".pre-commit-config.yaml", ".pre-commit-config.yml", ".pre-commit-hooks.yaml"),
        *(
            f"{dot}lefthook{local}.{ending}"
            for dot in ("", ".")
            for local in ("", "-local")
            for ending in ("yml", "yaml")
        ),
        *(".gitconfig", ".lfsconfig", ".envrc", ".overcommit.yml"),
    }
)
"""In any folder."""

_EDITOR_FILES: Final = frozenset({"tasks.json", "settings.json", "launch.json", "mcp.json"})


def is_ci(path: str) -> bool:
    """Whether a server that builds the repository reads this path as its orders, or could if it stood there."""
    name = path.casefold()
    last = name.rpartition("/")[2]
    return (
        any(_in(name, folder) or folder.startswith(f"{name}/") for folder in _CI_FOLDERS)
        or name in _CI_FILES
        or last == "jenkinsfile"
        or last.startswith("jenkinsfile.")
        or last.endswith(".jenkinsfile")
    )


def is_tool_setup(path: str) -> bool:
    """Whether an agent, git, a hook manager or an editor of whoever checks the branch out may run what stands there.

    AGENTS.md and its like are not among them: they are text, which is read by whoever reviews the change, and which
    Kugetsu itself only takes from the default branch.
    """
    names = path.casefold().split("/")
    if names[-1] in _TOOL_FILES or not _TOOL_FOLDERS.isdisjoint(names):
        return True
    return names[-2:-1] == [".vscode"] and names[-1] in _EDITOR_FILES


def _in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
