"""What opencode is started with: its arguments, its whole environment, its configuration.

Nothing is started here. Facts about opencode are of version 1.18.33, run by hand. Any program that honours
`run --format json [--session ID] [--model M] [--agent NAME]`, prompt on standard input, can stand in for it.
"""

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.place import Place
from jobs.sandbox import SYSTEM_PATH
from jobs.shown import SYSTEM_FOLDERS
from models.refusal import Refused

BUNDLED = Path(__file__).resolve().parent.parent / "deploy/opencode/node_modules/.bin/opencode"
"""Where `make opencode` puts it."""

_SCHEMA = "https://opencode.ai/config.json"
_CONFIG = "opencode.json"
_GUIDE = "AGENTS.md"
_OWN = "own-config"

_FLAGS = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_PROJECT_CONFIG": "1",  # a repository's own would change our rules
    "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    "OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER": "true",
}

_GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",  # nobody is there to close an editor
    "GIT_PAGER": "cat",
    "PAGER": "cat",
}
_GIT_SETTINGS = {"safe.directory": "*", "gc.auto": "0", "commit.gpgSign": "false", "credential.helper": ""}

_PRELUDE = """\
set -eu
mkdir -p "$HOME" "$TMPDIR" "$XDG_CONFIG_HOME" "$XDG_DATA_HOME" "$XDG_CACHE_HOME" "$XDG_STATE_HOME"
"""

# opencode's own folder starts afresh, so that no run leaves settings or plugins to the next. The lock file keeps
# it from installing its plugin package in the background, during which it also ignores SIGTERM.
#
# 1.18.33 runs a repository's plugins (.opencode/plugin, "plugin" in opencode.json) whatever its switches say: half
# of it reads these files by itself. So they are not there, and git takes them as unchanged.
_OPENCODE_PRELUDE = """\
rm -rf "$XDG_CONFIG_HOME/opencode" "$HOME/.opencode"
mkdir -p "$XDG_CONFIG_HOME/opencode/node_modules"
printf '%s' '{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"*"}}}}' \
    >"$XDG_CONFIG_HOME/opencode/package-lock.json"
set -- .opencode opencode.json opencode.jsonc -- "$@"
while [ "$1" != -- ]; do
    if [ -e "$1" ] || [ -L "$1" ]; then
        git ls-files -z -- "$1" | git update-index -z --skip-worktree --stdin
        rm -rf "$1"
    fi
    rm -rf "../$1"
    shift
done
shift
"""


class AgentMissing(Refused):
    """The agent command cannot be found; the message says which and what would help."""


@dataclass(frozen=True, slots=True)
class Program:
    """An agent program that is there: how to start it, and what the sandbox must show for that."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[Path, ...] = ()

    @property
    def is_opencode(self) -> bool:
        return "opencode" in self.name


@dataclass(frozen=True, slots=True)
class Invocation:
    """One `run` of the agent program."""

    program: Program
    session: str | None = None
    model: str | None = None
    agent: str | None = None
    title: str = ""
    """For opencode only, which else asks the LLM for one; other programs need not know the option."""
    images: tuple[str, ...] = ()
    """Paths of images that belong to the prompt; for opencode only."""

    def argv(self) -> tuple[str, ...]:
        """The whole command, starting with the shell that prepares the agent's HOME from inside."""
        options = {"--session": self.session, "--model": self.model, "--agent": self.agent}
        if self.program.is_opencode:
            options["--title"] = self.title
        given = [word for option, value in options.items() if value for word in (option, value)]
        if self.program.is_opencode:
            given += [word for image in self.images for word in ("--file", image)]
        prelude = _PRELUDE + (_OPENCODE_PRELUDE if self.program.is_opencode else "") + 'exec "$@"'
        return ("/bin/sh", "-c", prelude, "agent", *self.program.argv, "run", "--format", "json", *given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run's environment is made of. `extra` are the variables the settings hand to the agent."""

    place: Place
    run_dir: Path
    bot_name: str
    bot_email: str
    sandboxed: bool
    config: str | None = None
    """Text of the administrator's opencode.json."""
    guide: str | None = None
    """Text of the AGENTS.md that the agent follows."""
    own_config: Mapping[str, bytes] = field(default_factory=dict)
    """The repository's own configuration of opencode: files by their path below `.opencode`."""
    models: Path | None = None
    """The administrator's models.json, which replaces opencode's own catalogue."""
    extra: Mapping[str, str] = field(default_factory=dict)


def find(command: str, *, path: str, bundled: Path = BUNDLED) -> Program:
    """The program of the setting `agent_command`, looked for in `path`; `opencode` also in this project.

    Raises AgentMissing.
    """
    try:
        words = shlex.split(command) or [""]
    except ValueError as error:
        raise AgentMissing(f"The agent command {command!r} cannot be read: {error}.") from error
    found = shutil.which(words[0], path=path)
    if found is None and words[0] == "opencode":
        found = shutil.which(str(bundled))
    if found is None:
        raise AgentMissing(f"The agent command {words[0]!r} is not installed here.")
    # Resolved, for the sandbox shows folders and not the links that lead there.
    argv = (str(Path(found).resolve()), *words[1:])
    paths = [Path(word) for word in argv if word.startswith("/") and Path(word).exists()]
    return Program(Path(words[0]).name, argv, tuple(_shown(path) for path in paths if not _is_system(path)))


def environment(given: Surroundings, program: Program) -> dict[str, str]:
    """The whole environment of the agent; nothing of ours but what `extra` names."""
    home, tmp = given.place.home, str(given.place.tmp)
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "TMPDIR": tmp,
        "KUGETSU_TEMP_DIR": tmp,
        "PATH": f"{SYSTEM_PATH}:{Path(program.argv[0]).parent}",
        "LANG": "C.UTF-8",
        **_git(given.bot_name, given.bot_email),
        **_FLAGS,
        "OPENCODE_CONFIG_CONTENT": json.dumps(policy(given.place, sandboxed=given.sandboxed, guide=_guide(given))),
        **({"OPENCODE_CONFIG": str(given.run_dir / _CONFIG)} if given.config else {}),
        **({"OPENCODE_CONFIG_DIR": str(given.run_dir / _OWN)} if given.own_config else {}),
        **({"OPENCODE_MODELS_PATH": str(given.models)} if given.models else {}),
        **given.extra,
    }


def files(given: Surroundings) -> dict[str, str | bytes]:
    """What must lie in the run's folder, by name: the administrator's configuration as opencode wants it, the guide,
    and the repository's own configuration.
    """
    ours = {_CONFIG: with_schema(given.config)} if given.config else {}
    guide = {_GUIDE: given.guide} if given.guide is not None else {}
    return {**ours, **guide, **{f"{_OWN}/{path}": content for path, content in given.own_config.items()}}


def _guide(given: Surroundings) -> Path | None:
    return given.run_dir / _GUIDE if given.guide is not None else None


def read_only(given: Surroundings, program: Program) -> Sequence[Path]:
    """What the sandbox must show beside the place and the run's files."""
    return [*program.needs, *([given.models] if given.models else [])]


def policy(place: Place, *, sandboxed: bool, guide: Path | None = None) -> dict[str, object]:
    """Our part of opencode's configuration, laid over the administrator's. Nothing in it is ever `ask`.

    An `ask` without a person ends opencode's run half-way with code 0. The permission rules are no boundary
    (a shell gets round them): with a sandbox nothing outside is forbidden, for there is nothing there.
    """
    outside: object = "allow" if sandboxed else {"*": "deny", f"{place.tmp}/**": "allow"}
    return {
        "$schema": _SCHEMA,
        "autoupdate": False,
        "share": "disabled",
        "snapshot": False,
        "instructions": [str(guide)] if guide is not None else [],
        "permission": {
            "doom_loop": "deny",
            "question": "deny",
            "external_directory": outside,
            "read": {"*.env": "allow", "*.env.*": "allow"},
        },
        "experimental": {"continue_loop_on_deny": True},
    }


def with_schema(config: str) -> str:
    """The configuration (JSON with comments) naming its schema: opencode rewrites files that do not."""
    if re.search(r'"\$schema"\s*:', config):
        return config
    comments = r"\A(?:\s|//[^\n]*\n|/\*.*?\*/)*\{"
    return re.sub(comments, lambda start: f'{start[0]}"$schema": "{_SCHEMA}",', config, flags=re.DOTALL)


def _git(name: str, email: str) -> dict[str, str]:
    env = dict(_GIT)
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": name, f"GIT_{who}_EMAIL": email}
    env["GIT_CONFIG_COUNT"] = str(len(_GIT_SETTINGS))
    for number, (key, value) in enumerate(_GIT_SETTINGS.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def _shown(path: Path) -> Path:
    """The folder of packages that `path` belongs to, else the file itself: its neighbours may be anything."""
    if "node_modules" in path.parts:
        return Path(*path.parts[: path.parts.index("node_modules") + 1])
    return path


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in SYSTEM_FOLDERS)
