"""What the service asks of a git server, and what its answers mean.

Answers come as git's texts. They are sorted into three: the server said no (somebody has to do something), the server
cannot be spoken to now (time will tell), and a push that would have to overwrite somebody's work.
Texts: git's `http.c`, `remote-curl.c` and `transport.c`; Gitea's refusals: `routers/private/hook_pre_receive.go`.
"""

import re
import tempfile
from pathlib import Path
from typing import Final

from jobs.git import Access, GitFailed
from jobs.mirror import FETCH_LIMIT, HeldMirror, Mirror

PUSH_LIMIT: Final = 600.0
_LOOK_LIMIT: Final = 60.0


class ServerRefused(Exception):
    """The server did not let the bot read the repository; the text is a sentence for a person."""


class FetchFailed(Exception):
    """The server could not be read from. Passing: try again later."""


class PushRejected(Exception):
    """The server did not take the branch, and will not unless something changes; the text says why."""


class PushFailed(Exception):
    """The server could not be pushed to. Passing: try again later."""


def fetch(mirror: HeldMirror, access: Access) -> None:
    """Makes the mirror's branches and tags the server's. Raises ServerRefused, FetchFailed."""
    mirror.prepare()
    options = ["--quiet", "--prune", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
    refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    try:
        mirror.ask(access, "fetch", *options, access.address, *refs, deadline=FETCH_LIMIT)
    except GitFailed as error:
        reason = _refusal(error)
        if reason in (None, TOKEN_REFUSED):
            raise FetchFailed(reason or _said(error)) from error
        raise ServerRefused(reason) from error
    if mirror.is_empty() and _shown(mirror, access):
        raise FetchFailed("the server's answer was cut short")


def _shown(mirror: Mirror, access: Access, *refs: str) -> bool:
    """Whether the server shows any of these refs, or any at all, when it is asked once more. Raises FetchFailed.

    Git takes for that of an empty repository an answer that breaks off in its headers, and whatever has no line in it,
    such as a proxy's word with a 200 (seen with 2.39). No server of ours says that without a packet of git's protocol.
    """
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "packets"
        try:
            printed = mirror.ask(access, "ls-remote", access.address, *refs, deadline=_LOOK_LIMIT, trace=trace)
        except GitFailed as error:
            raise FetchFailed(_said(error)) from error
        if not trace.exists() or not _GREETING.search(trace.read_bytes()):
            raise FetchFailed("what answers there is no git server")
    return bool(printed.strip())


def fetch_ref(mirror: HeldMirror, access: Access, source: str, target: str) -> None:
    """Brings one ref of the server, by its full name, to a ref of ours. Raises ServerRefused, FetchFailed."""
    options = ["--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
    try:
        mirror.ask(access, "fetch", *options, access.address, f"+{source}:{target}", deadline=FETCH_LIMIT)
    except GitFailed as error:
        reason = _refusal(error)
        if _NO_REF.search(error.stderr) and not _shown(mirror, access, source):
            reason = "it is not there any more"
        if reason in (None, TOKEN_REFUSED):
            raise FetchFailed(reason or _said(error)) from error
        raise ServerRefused(reason) from error


_GREETING: Final = re.compile(rb"< (# service=git-upload-pack|version [12])")
_NO_REF: Final = re.compile(r"couldn't find remote ref")


def tip(mirror: Mirror, access: Access, branch: str) -> str | None:
    """The server's commit of a branch now; None where there is no such branch. Raises PushRejected, PushFailed."""
    ref = f"refs/heads/{branch}"
    try:
        printed = mirror.ask(access, "ls-remote", access.address, ref, deadline=_LOOK_LIMIT)
    except GitFailed as error:
        raise _push_error(error) from error
    found = (line.split("\t", 1) for line in printed.splitlines())
    return next((commit for commit, name in found if name == ref), None)


def push(mirror: Mirror, access: Access, commit: str, branch: str) -> None:
    """Pushes a commit to a branch, only ever forward. Raises PushRejected, PushFailed."""
    refspec = f"{commit}:refs/heads/{branch}"
    try:
        mirror.ask(access, "push", "--porcelain", "--no-verify", access.address, refspec, deadline=PUSH_LIMIT)
    except GitFailed as error:
        raise _push_error(error) from error


def _push_error(error: GitFailed) -> PushRejected | PushFailed:
    rejected = re.search(r"^!\t[^\t]*\t(.*)$", error.stdout, re.MULTILINE)
    if rejected:
        # Gitea sends its sentence between two bare "error:" lines, older ones after "Gitea:" (seen on 1.26.3).
        remarks = re.findall(r"^remote: +(?:(?:error|Gitea|Forgejo):)? *(.*\S) *$", error.stderr, re.MULTILINE)
        remarks = [remark for remark in remarks if remark not in ("error:", "Gitea:", "Forgejo:")]
        said = "; ".join([rejected[1], *remarks])[:500]
        return PushFailed(said) if _TROUBLE.search(said) else PushRejected(said)
    reason = _refusal(error)
    return PushFailed(reason or _said(error)) if reason in (None, TOKEN_REFUSED) else PushRejected(reason)


_TROUBLE: Final = re.compile(r"internal (server )?error|cannot lock ref|failed to update ref", re.IGNORECASE)
"""A ref refused for what went wrong in the server, not for what was pushed."""

TOKEN_REFUSED: Final = "the server did not accept the bot's token"  # noqa: S105 - a sentence
"""Only whoever runs the service can mend that: the work waits for it."""

_REFUSALS: Final = (
    (r"Authentication failed|could not read (Username|Password)|error: 401", TOKEN_REFUSED),
    (r"error: 403", "the server did not allow it to the bot"),
    (r"repository '.*' not found|error: 404", "the repository does not exist, or the bot may not see it"),
    (r"error: 413", "the server takes no push of this size"),
    (r"mismatched algorithms", "the repository uses SHA-256 object names, which are not supported"),
    (
        r"unable to update url base from redirection|error: 30\d",
        "the server answered with a redirect: the address is wrong",
    ),
)


def _refusal(error: GitFailed) -> str | None:
    """Why the server said no, in words; None where it did not."""
    if error.code is None:
        return None
    return next((reason for pattern, reason in _REFUSALS if re.search(pattern, error.stderr)), None)


def _said(error: GitFailed) -> str:
    if error.code is None:
        return "the server did not answer in time"
    return " ".join(error.stderr.split())[:500] or f"git ended with {error.code}"
