"""Keeps what a repository's own commands leave in the tree apart from the agent's work, which alone is committed.

A setup fills the tree with what it installs, a check with reports and caches. Where the repository ignores those
there is nothing to do; where it does not, they would end up in the pull request.
"""

from __future__ import annotations

from typing import Final

from jobs.inside import Inside

_NOTE: Final = "kugetsu.setup"
_MOST: Final = 200

# Whether nothing was uncommitted when a setup began is written down before it, and once: repeated after a kill, it
# would take its own half-done work for the agent's. Whatever else that file may hold, at worst setup runs again.
_BEGIN: Final = f"""\
note="$repo/{_NOTE}"
[ -f "$note" ] && [ ! -L "$note" ] || rm -rf "$note"
case "$(cat "$note" 2>/dev/null || true)" in
    clean|dirty) ;;
    *) if [ -n "$(git status --porcelain)" ]; then echo dirty; else echo clean; fi >"$note" ;;
esac
"""

# New files are left where they are, but out of every commit; files it changed are set back.
_END: Final = f"""\
note="$repo/{_NOTE}"
if [ "$(cat "$note")" = clean ]; then
    git read-tree --reset -u HEAD
    mkdir -p "$repo/info"
    git -c core.quotePath=false ls-files --others --exclude-standard --directory --no-empty-directory \\
        | sed 's/[][\\*?]/\\\\&/g; s|^|/|' >>"$repo/info/exclude"
fi
printf '%s' "$1" >"$note"
"""

_SWEEP: Final = """\
git read-tree --reset -u HEAD
git clean -ffdq
"""


def set_up(inside: Inside) -> str:
    """The name of the setup that was done last in this place; anything else if none was."""
    return inside.read(_NOTE, _MOST)


def begin_setup(inside: Inside) -> None:
    """To be called before a setup. Can be repeated. Raises InsideFailed or InsideStopped, as all here do."""
    inside.do(_BEGIN)


def end_setup(inside: Inside, name: str) -> None:
    """Keeps what the setup made out of the work, and writes its name down for `set_up`."""
    inside.do(_END, name)


def sweep(inside: Inside) -> None:
    """Takes away all that is uncommitted, except what git ignores: to be called when the work has been collected."""
    inside.do(_SWEEP)
