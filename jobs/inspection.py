"""Looks a push through before it is made: reads from the mirror what `jobs.gate` decides on.

Secrets are looked for in every line that any of the new commits adds, not only in what is left at the end: all commits
are pushed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from jobs import objects
from jobs.gate import folded
from jobs.inside import Identity
from jobs.mirror import SERVERS, Mirror
from jobs.objects import Entry
from jobs.redact import Redactor
from jobs.standing import Target, Unrelated, fork_point, read_marks
from jobs.token_shapes import shapes
from jobs.work import ABSENT, LINK, SUBMODULE, Change, Finding, Limits, Work

_HOPS: Final = 40
"""Links that may be followed one after the other, as in Linux."""

_LONGEST_LINK: Final = 4096

_MOST_OLD: Final = 50
"""Files that a commit takes away and whose lines are not news in one that it brings."""

_FILTER: Final = re.compile(rb"(?<![\w-])filter=(?!lfs(?![\w-]))", re.IGNORECASE)
_NAMED: Final = re.compile(rb"^(?:author|committer) (.*) [0-9]+ [+-][0-9]+$", re.MULTILINE)
_CRUD: Final = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
"""What git takes off both ends of a name (its `ident.c`)."""


def inspect(mirror: Mirror, target: Target, sha: str, identity: Identity, redactor: Redactor) -> Work:
    """What a push of `sha` to the thread's branch would bring; `identity` is who its commits should be by."""
    limits = Limits()
    try:
        changed = _ours(mirror, target, sha)
    except Unrelated:
        return Work(rootless=(sha,))
    news = _News(mirror, sha, limits.file)
    light = sum(size for _, size in news.sizes) <= limits.total
    return Work(
        changes=tuple(changed),
        sizes=news.sizes,
        findings=tuple(_findings(news, redactor)) if light else (),
        colliding=tuple(_colliding(mirror, changed, sha)),
        leaving=tuple(_leaving(mirror, changed, sha)),
        filters=tuple(_filters(mirror, changed)),
        rootless=tuple(objects.roots(mirror, sha)),
        disguised=tuple(_disguised(mirror, sha, identity)),
        limits=limits,
    )


class _Changed(list[Change]):
    """What differs between `fork` and the commit to be pushed."""

    def __init__(self, fork: str, changes: Iterable[Change]) -> None:
        super().__init__(changes)
        self.fork = fork


def _ours(mirror: Mirror, target: Target, sha: str) -> _Changed:
    """What a push would change for the default branch, but for what somebody else has changed just so on the thread's
    branch. Raises Unrelated.
    """
    marks = read_marks(mirror, target)
    fork = fork_point(mirror, marks, sha)
    changed = objects.changed(mirror, fork, sha)
    if marks.server is None:
        return _Changed(fork, changed)
    theirs = _paths(objects.changed(mirror, fork_point(mirror, marks, marks.server), marks.server))
    as_they_left_it = theirs - _paths(objects.changed(mirror, marks.server, sha))
    return _Changed(fork, (change for change in changed if change.path not in as_they_left_it))


def _paths(changes: Iterable[Change]) -> set[str]:
    return {change.path for change in changes}


class _News:
    """The files that the new commits bring: where each stands, how large it is, and which lines of it are new."""

    def __init__(self, mirror: Mirror, sha: str, largest: int) -> None:
        """Lines are read of files of up to `largest` bytes."""
        self._mirror = mirror
        self._largest = largest
        self._before: dict[str, set[str]] = {}
        self._path: dict[str, str] = {}
        fresh = objects.new_objects(mirror, sha)
        for _, changes in objects.history(mirror, sha):
            self._note(changes, fresh)
        self._sizes = objects.sizes(mirror, self._path)
        self.sizes = tuple((self._path[name], size) for name, size in self._sizes.items())

    def _note(self, changes: list[Change], fresh: frozenset[str]) -> None:
        gone = [change.old_id for change in changes if change.new_mode == ABSENT][:_MOST_OLD]
        for change in changes:
            if change.new_id in fresh and change.new_mode not in (ABSENT, SUBMODULE):
                self._path.setdefault(change.new_id, change.path)
                before = [change.old_id] if change.old_mode not in (ABSENT, SUBMODULE) else gone
                self._before.setdefault(change.new_id, set()).update(before)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each path with the lines that are new in it, as text."""
        for batch in objects.contents(self._mirror, self._small(self._sizes)):
            olds = {old for name in batch for old in self._before[name]}
            before: dict[str, bytes] = {}
            for found in objects.contents(self._mirror, self._small(objects.sizes(self._mirror, olds))):
                before |= found
            for name, content in batch.items():
                known = {line for old in self._before[name] for line in before.get(old, b"").split(b"\n")}
                added = b"\n".join(line for line in content.split(b"\n") if line not in known)
                # Without its NULs a text of two bytes a letter reads as plain one.
                yield self._path[name], added.replace(b"\0", b"").decode(errors="replace")

    def _small(self, sizes: Mapping[str, int]) -> dict[str, int]:
        return {name: size for name, size in sizes.items() if size <= self._largest}


def _findings(news: _News, redactor: Redactor) -> Iterator[Finding]:
    for path, text in news.lines():
        if redactor.holds_secret(text):
            yield Finding(path, "", known=True)
        for kind in sorted({shape.kind for shape in shapes(text)}):
            yield Finding(path, kind)


def _colliding(mirror: Mirror, changed: _Changed, sha: str) -> Iterator[str]:
    """New paths that a disk without regard to case takes for others, themselves or one of their folders."""
    added = [change.path for change in changed if change.old_mode == ABSENT and change.new_mode]
    if not added:
        return
    before = {part for path in objects.listing(mirror, changed.fork) for part in _prefixes(path)}
    spellings: dict[str, set[str]] = {}
    for part in {part for path in objects.listing(mirror, sha) for part in _prefixes(path)}:
        spellings.setdefault(folded(part), set()).add(part)
    for path in added:
        if any(part not in before and len(spellings[folded(part)]) > 1 for part in _prefixes(path)):
            yield path


def _prefixes(path: str) -> Iterator[str]:
    return accumulate(path.split("/"), lambda above, name: f"{above}/{name}")


def _leaving(mirror: Mirror, changed: _Changed, sha: str) -> list[str]:
    """Links that lead out of the tree now and did not before. A link that is changed may turn others, too."""
    if not any(LINK in (change.old_mode, change.new_mode) for change in changed):
        return []
    return sorted(_leading_out(mirror, sha) - _leading_out(mirror, changed.fork))


def _leading_out(mirror: Mirror, commit: str) -> set[str]:
    links = {path: entry for path, entry in objects.listing(mirror, commit).items() if entry.mode == LINK}
    aims = _aims(mirror, links)
    return {path for path in links if _leads_out(path, aims)}


def _aims(mirror: Mirror, links: Mapping[str, Entry]) -> dict[str, str]:
    """What each link says; one that is too long for any system is taken for one to the root."""
    sizes = objects.sizes(mirror, {entry.id for entry in links.values()})
    short = {name: size for name, size in sizes.items() if size <= _LONGEST_LINK}
    said: dict[str, str] = {}
    for batch in objects.contents(mirror, short):
        said |= {name: content.decode("utf-8", "surrogateescape") for name, content in batch.items()}
    return {path: said.get(entry.id, "/") for path, entry in links.items()}


def _leads_out(link: str, aims: Mapping[str, str]) -> bool:
    """Whether following `link`, and every link on its way, leaves the tree or enters git's own folder."""
    at, hops = link.split("/")[:-1], 0
    ahead = deque([aims[link]])
    while ahead and hops < _HOPS:
        way = ahead.popleft()
        if way.startswith("/"):
            return True
        step, _, rest = way.partition("/")
        if rest.strip("/"):
            ahead.appendleft(rest.lstrip("/"))
        if step == "..":
            if not at:
                return True
            at.pop()
        elif step not in ("", "."):
            at.append(step)
            if at[0].casefold() == ".git":
                return True
            if (met := "/".join(at)) in aims:
                ahead.appendleft(aims[met])
                at.pop()
                hops += 1
    return False


def _filters(mirror: Mirror, changed: _Changed) -> Iterator[str]:
    """Files of git's attributes in which a filter is new; the one of LFS is everybody's."""
    named = [change for change in changed if change.path.casefold().rpartition("/")[2] == ".gitattributes"]
    for change in named:
        sides = [name for name, mode in ((change.old_id, change.old_mode), (change.new_id, change.new_mode)) if mode]
        texts = mirror.contents(sides) if change.new_mode else []
        if texts and set(filter(_FILTER.search, texts[-1].split(b"\n"))) - set(b"".join(texts[:-1]).split(b"\n")):
            yield change.path


def _disguised(mirror: Mirror, sha: str, identity: Identity) -> Iterator[str]:
    """New commits whose author or committer is not the bot."""
    name = identity.name.strip(_CRUD).translate({ord(sign): None for sign in "<>\n"})
    right = {f"{name} <{identity.email}>".encode()}
    fresh = mirror.commits(sha, without=SERVERS)
    for commit, raw in zip(fresh, mirror.contents(fresh), strict=True):
        if set(_NAMED.findall(raw.partition(b"\n\n")[0])) != right:
            yield commit
