"""What is wrong, with the cure: what stands on top of the status page. Pure.

Each part that can go wrong says so in the words of whoever must mend it: what it is, what follows from it, what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from models.settings import Settings
from models.side_tables import Hook
from models.tables import Repo, Thread

Weight = Literal["stops", "warns"]

_CURES = {
    "database": "Free the disk, or end what else holds kugetsu.db open; deliveries are answered 503 until then.",
    "workers": "Start one: `kugetsu worker`, or `kugetsu serve` for both halves. Deliveries are stored meanwhile, and "
    "nothing asked is lost.",
    "gitea": "Look at KUGETSU_GITEA_URL and KUGETSU_GITEA_TOKEN, or at that server's table in kugetsu.toml; the token "
    "needs the scopes write:issue, write:repository and read:user, and the bot must be an administrator of the "
    "repository.",
    "disk": "Free some space where KUGETSU_HOME lies, or close issues that are done: their folders go with them.",
}


class Trouble(NamedTuple):
    """One thing that is wrong. `weight`: it stops the work, or it is only to be known."""

    weight: Weight
    what: str
    cure: str


class Known(NamedTuple):
    """What is looked at. `problems` are those of `/readyz` by part; `held` is why
    nothing starts although nobody has paused it; `sandbox` is its kind and why it is so, None while
    no worker has looked; `refused` counts deliveries turned away since the start, by HTTP status.
    """

    settings: Settings
    problems: Mapping[str, Sequence[str]]
    paused: bool
    reason: str
    held: str | None
    sandbox: tuple[str, str] | None
    refused: Mapping[int, int]
    broken_files: Sequence[Repo]
    untold: Sequence[Thread]
    hooks: Sequence[Hook]


def troubles(known: Known) -> list[Trouble]:
    """All that is wrong, what stops the work first."""
    found = [
        *_not_ready(known),
        *_paused(known),
        *_sandbox(known),
        *_deliveries(known),
        *_hooks(known),
        *_told(known),
        *_files(known),
    ]
    return sorted(found, key=lambda trouble: trouble.weight)


def _not_ready(known: Known) -> Iterator[Trouble]:
    for part, sentences in known.problems.items():
        for sentence in sentences:
            yield Trouble("stops", _sentence(sentence), _CURES.get(part, ""))


def _paused(known: Known) -> Iterator[Trouble]:
    if known.held is not None and not known.problems.get("disk"):
        yield Trouble("stops", _sentence(f"Nothing starts: {known.held}"), "It goes on by itself when that is over.")
    if known.paused:
        why = f"Paused: {known.reason}" if known.reason else "Paused, without a reason given"
        yield Trouble("stops", _sentence(why), "Nothing more starts until somebody presses Resume below.")


def _sandbox(known: Known) -> Iterator[Trouble]:
    if known.sandbox is not None and known.sandbox[0] == "none":
        why = known.sandbox[1]
        yield Trouble(
            "warns",
            _sentence("Agents run without a sandbox" + (f": {why}" if why else "")),
            "Install bubblewrap where user namespaces are allowed, and set KUGETSU_SANDBOX to bwrap or auto.",
        )


def _deliveries(known: Known) -> Iterator[Trouble]:
    for status, count in sorted(known.refused.items()):
        times = f"{count} {'delivery was' if count == 1 else 'deliveries were'} refused ({status}) since the start"
        if status == 401:  # noqa: PLR2004 - HTTP
            setting = "KUGETSU_WEBHOOK_SECRET, or in its server's table"
            cure = f"The secret in Gitea's webhook must be the one in {setting}; type it in again there."
            yield Trouble("warns", f"{times}: no secret of ours has signed them.", cure)
        elif status == 503:  # noqa: PLR2004 - HTTP
            cure = "Send them again from Gitea: Settings, Webhooks, Recent Deliveries."
            yield Trouble("warns", f"{times}: they could not be stored in time.", cure)


def _hooks(known: Known) -> Iterator[Trouble]:
    for row in known.hooks:
        what = _sentence(f"{row.place}{_on(known, row.server)}: its webhook is not right ({row.state}): {row.problem}")
        yield Trouble("warns", what, row.cure or "Look at it under Repositories.")


def _told(known: Known) -> Iterator[Trouble]:
    for thread in known.untold:
        where = f"{thread.repo.name}#{thread.issue}{_on(known, thread.server)}"
        cure = "It is tried again by itself, with growing pauses; what it says tells what Gitea wants."
        yield Trouble("warns", _sentence(f"{where} cannot be seen to: {thread.desk_problem}"), cure)


def _files(known: Known) -> Iterator[Trouble]:
    for repo in known.broken_files:
        cure = "Correct it on the default branch; until then its last good version holds."
        where = f"{repo.name}{_on(known, repo.server)}"
        yield Trouble("warns", _sentence(f"{where}: .kugetsu.toml cannot be used: {repo.file_problem}"), cure)


def _on(known: Known, server: str) -> str:
    """Which server a repository is on, where there are several."""
    return f" on {server}" if len(known.settings.servers) > 1 else ""


def _sentence(text: str) -> str:
    """`text` with a capital in front and a full stop behind."""
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else f"{whole}."
