"""Where webhooks of ours are and should be: the rows that the desk sees to, and that people ask about.

A place is "OWNER/REPO", "OWNER" for an organisation, or "" for the whole server. The HTTP side never calls Gitea: it
says here what somebody wants and reads what a worker last saw.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from peewee import Case, Database, Expression, fn

from models import settings as configured
from models.settings import DEFAULT_SERVER, Settings
from models.side_tables import Hook, Refusal
from models.tables import Delivery, Server

SERVER = ""
"""The place that is the whole server."""


TARGET_HEADER = "x-gitea-hook-installation-target-type"
RECOVERED = "reconcile"
"""The `source` of what was found by looking."""

MOST_READ = 1000
"""Deliveries looked through for those of wider webhooks."""


class HookState(StrEnum):
    """What is wrong with the webhook of a place; names are stored."""

    UNKNOWN = "unknown"
    FINE = "fine"
    MISSING = "missing"
    ADDRESS = "wrong address"
    EVENTS = "wrong events"
    INACTIVE = "inactive"
    SECRET = "wrong secret"  # noqa: S105 - a name
    FAILING = "failing"
    REFUSED = "refused"
    REMOVED = "removed"


def address_of(settings: Settings, server: str) -> str:
    """Where the webhooks of this server go."""
    return f"{settings.public_url}/webhook" + ("" if server == DEFAULT_SERVER else f"/{server}")


def why_unreachable(settings: Settings, server: configured.Server) -> str:
    """Why Gitea cannot find us at our address, whatever else is right; "" where it may."""
    ours, theirs = urlsplit(settings.public_url).hostname or "", urlsplit(server.url).hostname or ""
    if is_loopback(ours) and not is_loopback(theirs):
        return (
            f"the address of Kugetsu is {settings.public_url}, which on Gitea's machine is Gitea's machine:"
            " set KUGETSU_PUBLIC_URL"
        )
    return ""


def is_loopback(host: str) -> bool:
    """Whether this name or address is of the machine that asks."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether this is an address of a network of one's own; a name is not looked up."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


def allows_all_of(patterns: Sequence[str], owner: str) -> bool:
    """Whether every repository of `owner` may be worked on, also those that are not there yet; "": of every owner."""
    sides = [(pattern.removeprefix("!"), pattern.startswith("!")) for pattern in patterns]
    whole = any(_takes_all(text, owner) for text, out in sides if not out)
    return whole and not any(out and _touches(text, owner) for text, out in sides)


def _takes_all(pattern: str, owner: str) -> bool:
    side, _, name = pattern.partition("/")
    if pattern in {"*", "*/*"}:
        return True
    return bool(owner) and name == "*" and fnmatch.fnmatchcase(owner.lower(), side.lower())


def _touches(pattern: str, owner: str) -> bool:
    side = pattern.partition("/")[0].lower()
    return not owner or pattern == "*" or fnmatch.fnmatchcase(owner.lower(), side)


def start(db: Database, servers: Collection[str]) -> None:
    """A worker starts: what it was told may have changed, so all of these servers' webhooks are looked at anew."""
    for name in servers:
        _ensure(db, name, SERVER)
    Hook.update(due_at=0.0).where(Hook.place == SERVER).execute(db)


def list_soon(db: Database, *, now: float) -> None:
    """Look for repositories that are new, on each server."""
    Hook.update(due_at=now).where((Hook.place == SERVER) & (Hook.due_at > now)).execute(db)


def take(db: Database, servers: Collection[str], *, now: float, lease: float) -> Hook | None:
    """The next place to look at, or None; nobody else gets it for `lease` seconds. Servers come first: what is done for
    all of one decides what is left to do for a repository.
    """
    row: Hook | None = Hook.select().where(_due(servers, now)).order_by(Hook.place != SERVER, Hook.due_at).first(db)
    if row is None:
        return None
    mine = (Hook.id == row.id) & (Hook.due_at == row.due_at)
    return row if Hook.update(due_at=now + lease).where(mine).execute(db) else None


def any_due(db: Database, servers: Collection[str], *, now: float) -> bool:
    """Whether there is a place to look at."""
    return bool(Hook.select().where(_due(servers, now)).exists(db))


def _due(servers: Collection[str], now: float) -> Expression:
    """Organisations are seen to with their server, and repositories once they are listed with their number. While a
    server does not answer, each look there would only wait.
    """
    places = (Hook.place == SERVER) | (Hook.place.contains("/") & Hook.remote_id.is_null(False))
    down = Server.select(Server.name).where(~Server.ok)
    due: Expression = (Hook.due_at <= now) & Hook.server.in_(list(servers)) & Hook.server.not_in(down) & places
    return due


def row_of(db: Database, server: str, place: str) -> Hook | None:
    """What is known of this place; letter case does not count."""
    row: Hook | None = Hook.select().where((Hook.server == server) & (fn.LOWER(Hook.place) == place.lower())).first(db)
    return row


def named(db: Database, place: str) -> list[Hook]:
    """The repositories of this name, on whichever server."""
    return list(Hook.select().where(fn.LOWER(Hook.place) == place.lower()).order_by(Hook.server).execute(db))


def servers_of(db: Database, owner: str) -> dict[str, str]:
    """The servers on which the bot sees repositories of this owner, and how each spells the name."""
    theirs = Hook.select(Hook.server, Hook.place).where(fn.LOWER(Hook.place).startswith(f"{owner.lower()}/"))
    return {row.server: row.place.partition("/")[0] for row in theirs.execute(db)}


def ensure(db: Database, server: str, place: str) -> Hook:
    """The row of this place, made where it is missing."""
    _ensure(db, server, place)
    row: Hook = Hook.select().where((Hook.server == server) & (Hook.place == place)).get(db)
    return row


def _ensure(db: Database, server: str, place: str) -> None:
    row = Hook.insert(server=server, place=place)
    row.on_conflict(action="NOTHING", conflict_target=[Hook.server, Hook.place]).execute(db)


def listed(db: Database, server: str, repos: Mapping[str, Mapping[str, Any]], *, now: float) -> None:
    """These are the repositories that the bot sees there, with columns of each, `remote_id` among them; rows of others
    go. Those of which something is news are due. One that has another name keeps what is known of it.
    """
    mine = (Hook.server == server) & (Hook.place.contains("/"))
    with db.atomic():
        names = {columns["remote_id"]: place for place, columns in repos.items()}
        _rename(db, list(Hook.select().where(mine).execute(db)), names)
        known = {row.place: row for row in Hook.select().where(mine).execute(db)}
        for place in known.keys() - repos.keys():
            Hook.delete().where(Hook.id == known[place].id).execute(db)
        for place, seen in repos.items():
            row = known.get(place) or ensure(db, server, place)
            if place not in known or any(getattr(row, name) != value for name, value in seen.items()):
                Hook.update(due_at=min(row.due_at, now), **seen).where(Hook.id == row.id).execute(db)


def _rename(db: Database, rows: Sequence[Hook], names: Mapping[int | None, str]) -> None:
    """Give each row the name that its repository has now. Two may have changed names with each other: so whatever lies
    under a name that another has now is put aside first.
    """
    moved = {row.id: names[row.remote_id] for row in rows if names.get(row.remote_id, row.place) != row.place}
    for row in rows:
        if row.id in moved or row.place in moved.values():
            Hook.update(place=f"/{row.id}").where(Hook.id == row.id).execute(db)
    for number, name in moved.items():
        Hook.update(place=name).where(Hook.id == number).execute(db)


def is_called(db: Database, server: str, number: int, name: str) -> bool:
    """Whether the repository of this number has this name, as far as it was listed."""
    mine = (Hook.server == server) & (Hook.remote_id == number) & (fn.LOWER(Hook.place) == name.lower())
    return bool(Hook.select().where(mine).exists(db))


def all_due(db: Database, server: str, *, now: float) -> None:
    """Look at every repository of this server again."""
    mine = (Hook.server == server) & (Hook.place.contains("/")) & (Hook.due_at > now)
    Hook.update(due_at=now).where(mine).execute(db)


def ask(db: Database, row: Hook, wish: str, *, now: float) -> None:
    """Somebody wants this place's webhook `made` (or mended), or `removed`."""
    with db.atomic():
        Hook.update(asked=Hook.asked + 1, wish=wish, due_at=now).where(Hook.id == row.id).execute(db)
        if "/" not in row.place:  # it is looked at with its server, and so is each repository that it tells of
            Hook.update(due_at=0.0).where((Hook.server == row.server) & (Hook.place == SERVER)).execute(db)


def seen(db: Database, row: Hook, *, due_at: float, **columns: Any) -> None:
    """A look is over. What was asked meanwhile is seen to at once."""
    Hook.update(answered=row.asked, failures=0, due_at=_unless_asked(row, due_at), **columns).where(
        Hook.id == row.id
    ).execute(db)


def put_off(db: Database, row: Hook, *, problem: str, due_at: float) -> None:
    """A look did not succeed; it is tried again at `due_at`."""
    Hook.update(failures=Hook.failures + 1, problem=problem, due_at=_unless_asked(row, due_at)).where(
        Hook.id == row.id
    ).execute(db)


def _unless_asked(row: Hook, due_at: float) -> Any:
    return Case(None, [(Hook.asked == row.asked, due_at)], 0.0)


def arrived_since(db: Database, server: str, repo: str, since: float) -> bool:
    """Whether a webhook of this repository has come in since then, verified."""
    mine = (Delivery.server == server) & (Delivery.repo == repo) & (Delivery.received_at >= since)
    return bool(Delivery.select().where(mine & (Delivery.source == "webhook")).exists(db))


def wide_heard(db: Database, server: str, since: float) -> frozenset[str]:
    """The organisations ("" for the server) of whose own webhooks some came in since then, with nothing missed after.
    From 1.24 on Gitea says with each delivery what kind of webhook it is of; Forgejo does not.
    """
    lately = (Delivery.server == server) & (Delivery.received_at >= since) & (Delivery.repo != "")
    rows = Delivery.select(Delivery.repo, Delivery.headers, Delivery.source).where(lately)
    newest = rows.order_by(Delivery.received_at.desc(), Delivery.id.desc()).limit(MOST_READ).tuples().execute(db)
    heard, missing = set(), set()
    for repo, headers, source in newest:
        owner = str(repo.partition("/")[0])
        place = _wide_place(owner, json.loads(headers))
        if source == RECOVERED:
            missing |= {owner, SERVER}
        elif place is not None and place not in missing:
            heard.add(place)
    return frozenset(heard)


def _wide_place(owner: str, headers: Mapping[str, str]) -> str | None:
    match headers.get(TARGET_HEADER):
        case "organization":
            return owner
        case "system":
            return SERVER
        case _:
            return None


def missed(db: Database, server: str, repo: str, *, since: float) -> int:
    """How many asks no webhook told of, since then and since the last webhook that came in."""
    last = max(since, last_delivery(db, server, repo) or 0.0)
    mine = (Delivery.server == server) & (Delivery.repo == repo) & (Delivery.received_at > last)
    found = mine & (Delivery.source == RECOVERED) & (Delivery.verdict == "accepted")
    return int(Delivery.select().where(found).count(db))


def refusal_since(db: Database, server: str, since: float) -> str:
    """Why a webhook was turned away since then, in a sentence; "" where none was."""
    mine = (Refusal.server == server) & (Refusal.at >= since)
    return str(Refusal.select(Refusal.sentence).where(mine).order_by(Refusal.at.desc()).scalar(db) or "")


def note_refusal(db: Database, server: str, status: int, sentence: str, *, now: float) -> None:
    """A webhook was turned away."""
    row = {"sentence": sentence, "at": now}
    Refusal.insert(server=server, status=status, **row).on_conflict(
        conflict_target=[Refusal.server, Refusal.status], update=row
    ).execute(db)


def repos(db: Database) -> list[Hook]:
    """Every repository that the bot sees, by server and name."""
    rows = Hook.select().where(Hook.place.contains("/")).order_by(Hook.server, Hook.place)
    return list(rows.execute(db))


def wide(db: Database) -> list[Hook]:
    """The organisations and servers that have, or had, a webhook of ours for many repositories, or are to have one."""
    about = Hook.hook_id.is_null(False) | (Hook.wish != "") | (Hook.state == HookState.FINE)
    rows = Hook.select().where(~Hook.place.contains("/") & about).order_by(Hook.server, Hook.place)
    return list(rows.execute(db))


def last_delivery(db: Database, server: str, repo: str) -> float | None:
    """When this repository's last webhook came in."""
    mine = (Delivery.server == server) & (Delivery.repo == repo) & (Delivery.source == "webhook")
    row = Delivery.select(Delivery.received_at).where(mine).order_by(Delivery.received_at.desc()).limit(1)
    value = row.scalar(db)
    return None if value is None else float(value)
