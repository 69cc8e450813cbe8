"""Making, mending and taking away the webhooks of one server."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from jobs import hook_trial
from jobs.gitea import GiteaMissing, GiteaRefused
from jobs.hook_sentences import cannot_look, cannot_look_widely, did_not_arrive, missed_asks, page_of, somebody_elses
from jobs.hooks import Judgement, Ours, Wanted, judge
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import hooks
from models.hook_keys import scope_of
from models.hooks import HookState
from models.side_by_side import where_set
from models.side_tables import Hook
from models.wire import Hook as Seen

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
WEEK_SECONDS = 7 * DAY_SECONDS


class Maker:
    """Knows how the webhooks of one server should be, and makes them so where it may."""

    def __init__(self, wiring: Wiring, forge: Forge) -> None:
        self._db = wiring.db
        self._now = wiring.clock
        self._forge = forge
        self._gitea = forge.gitea
        settings = wiring.settings
        self._patterns = settings.repos_on(forge.name)
        self._auto = settings.webhooks == "auto"
        server = settings.servers[forge.name]
        self._secrets = [secret.get_secret_value() for secret in server.webhook_secrets]
        self._address = hooks.address_of(settings, forge.name)
        self._why_not = hooks.why_unreachable(settings, server) if self._secrets else _no_secret(forge.name)

    def _wanted(self, place: str, number: int | None = None) -> Wanted:
        return Wanted.of(self._address, self._secrets, scope_of(place, number))

    # A webhook for many repositories

    def wide(self, place: str) -> bool:
        """Whether one webhook tells of all repositories of this organisation, or ("") of the server; made where the
        token may, where the settings allow all of them, and where that is left to us or was asked for.
        """
        row = hooks.row_of(self._db, self._forge.name, place)
        try:
            there = self._gitea.hooks(place)
        except (GiteaRefused, GiteaMissing) as error:
            if row is not None and row.asked > row.answered:
                self._seen(row, cannot_look_widely(self._forge.url, place, error))
            return place in hooks.wide_heard(self._db, self._forge.name, self._now() - WEEK_SECONDS)
        judged = judge(there, self._wanted(place), _ours(row))
        if row is not None and row.wish == "removed":
            return self._stay_away(row, judged)
        wished = self._auto or (row is not None and row.wish == "made")
        if not (wished and hooks.allows_all_of(self._patterns, place)):
            return self._leave(row, judged)
        row = row or hooks.ensure(self._db, self._forge.name, place)
        made = self._make_right(row, judged) if judged.state != HookState.FINE else {}
        self._seen(row, _columns(judged) | made)
        return bool(made.get("state", judged.state) == HookState.FINE)

    def _seen(self, row: Hook, columns: dict[str, Any]) -> None:
        hooks.seen(self._db, row, due_at=row.due_at, looked_at=self._now(), **columns)

    def _stay_away(self, row: Hook, judged: Judgement) -> bool:
        """It was taken away on request; one that somebody makes by hand later is theirs."""
        if row.asked == row.answered:
            return judged.state == HookState.FINE
        self._seen(row, self._remove(row, judged))
        return False

    def _leave(self, row: Hook | None, judged: Judgement) -> bool:
        """One that we made for repositories that may no longer be worked on is taken away; another's stays."""
        if self._auto and row is not None and judged.hook is not None and judged.hook.id == row.hook_id:
            self._delete(row.place, judged.hook)
            Hook.delete().where(Hook.id == row.id).execute(self._db)
            return False
        return judged.state == HookState.FINE

    # A repository's own

    def see_to(self, row: Hook) -> dict[str, Any]:
        """Look at the webhook of a repository, make it right where that is wished, and give what is then so."""
        try:
            there = self._gitea.hooks(row.place)
        except GiteaRefused as refused:
            if row.by is not None:
                return _served()
            return cannot_look(self._forge.url, row.place, row.rights, refused.missing_scope)
        judged = judge(there, self._wanted(row.place, row.remote_id), _ours(row))
        asked = row.asked > row.answered
        if row.wish == "removed" and asked:
            return self._remove(row, judged)
        if not row.allowed or row.by is not None:
            return self._give_up(row, judged)
        if row.wish == "removed":
            return {"state": HookState.REMOVED, "hook_id": None}
        return self._keep(row, judged, asked=asked)

    def _keep(self, row: Hook, judged: Judgement, *, asked: bool) -> dict[str, Any]:
        """Kept right. Where the secret is not known to be ours and it is doubtful, another webhook is made."""
        if judged.state == HookState.MISSING and not asked and self._somebody_elses(row):
            return somebody_elses(self._address)
        unsure = judged.hook is not None and not (judged.hook.id == row.hook_id and row.mark)
        anew = unsure and (asked or (self._auto and self._missed(row) > 0))
        if judged.state == HookState.FINE and not anew:
            return self._taken_on(row, judged) | (self._test(row, judged.hook) if asked else self._tested(row, judged))
        if not (asked or self._auto):
            return _columns(judged)
        return self._make_right(row, judged, anew=anew)

    def _taken_on(self, row: Hook, judged: Judgement) -> dict[str, Any]:
        """A webhook with our address serves nobody else: one that somebody made by hand is kept right from now on."""
        found = judged.hook
        if found is None or found.id == row.hook_id or not self._auto:
            return _columns(judged)
        return _columns(judged) | {"hook_id": found.id, "mark": ""}

    def _somebody_elses(self, row: Hook) -> bool:
        """Whether webhooks of this repository came in lately though none of ours was there: there is one under another
        address, and a second would tell of everything twice.
        """
        since = self._now() - DAY_SECONDS
        had_none = row.hook_id is None and row.state != HookState.FINE
        return had_none and hooks.arrived_since(self._db, row.server, row.place, since)

    def _make_right(self, row: Hook, judged: Judgement, *, anew: bool = False) -> dict[str, Any]:
        """Make the webhook, or change what is wrong with it. A secret cannot be changed: another one is made then."""
        if self._why_not:
            return _columns(judged) | {"problem": self._why_not}
        old, wanted = judged.hook, self._wanted(row.place, row.remote_id)
        if old is not None and (anew or judged.state == HookState.SECRET):
            self._delete(row.place, old)
            old = None
        try:
            if old is None:
                made, mark = self._gitea.create_hook(row.place, wanted.spec()), wanted.mark
            else:
                made = self._gitea.edit_hook(row.place, old.id, wanted.spec(old))
                mark = row.mark if old.id == row.hook_id else ""
        except GiteaRefused as refused:
            return cannot_look(self._forge.url, row.place, row.rights, refused.missing_scope)
        log.info("%s %s: webhook %d made right (%s)", row.server, row.place or "(server)", made.id, judged.state)
        columns = {"state": HookState.FINE, "problem": "", "cure": "", "hook_id": made.id, "mark": mark}
        # Noted at once: whoever comes after us, should we be ended here, must know it for ours.
        Hook.update(hook_id=made.id, mark=mark).where(Hook.id == row.id).execute(self._db)
        if "/" not in row.place:
            return columns
        self._forge.ensure_labels(row.place)
        return columns | self._test(row, made)

    def _test(self, row: Hook, hook: Seen | None) -> dict[str, Any]:
        """Have Gitea tell us of something. There may be nothing to tell of yet."""
        began = self._now()
        return {"tested_at": began if hook_trial.send(self._gitea, row.place, hook) else None}

    def _tested(self, row: Hook, judged: Judgement) -> dict[str, Any]:
        """What became of the test delivery, and whether what people asked since came in by a webhook at all."""
        page = page_of(self._forge.url, row.place, judged.hook.id if judged.hook else None)
        if row.tested_at is None:
            missed = self._missed(row)
            return missed_asks(missed, page) if missed else {}
        if hooks.arrived_since(self._db, row.server, row.place, row.tested_at):
            return {"tested_at": None}
        refused = hooks.refusal_since(self._db, row.server, row.tested_at)
        return did_not_arrive(self._address, refused, page)

    def _missed(self, row: Hook) -> int:
        """How many asks came in by no webhook lately, with nothing after them."""
        return hooks.missed(self._db, row.server, row.place, since=self._now() - DAY_SECONDS)

    def _give_up(self, row: Hook, judged: Judgement) -> dict[str, Any]:
        """A wider webhook tells of this repository, or it may no longer be worked on: one of our own is too much."""
        if self._auto and judged.hook is not None and judged.hook.id == row.hook_id:
            self._delete(row.place, judged.hook)
        gone = {"hook_id": None, "mark": "", "tested_at": None}
        return gone | (_served() if row.by is not None else {"state": HookState.UNKNOWN, "problem": "", "cure": ""})

    def _remove(self, row: Hook, judged: Judgement) -> dict[str, Any]:
        """Take away all with our address, on request."""
        for hook in (*([judged.hook] if judged.hook else []), *judged.more):
            self._delete(row.place, hook)
        gone = {"hook_id": None, "mark": "", "tested_at": None}
        return {"state": HookState.REMOVED, "problem": "", "cure": "", **gone}

    def _delete(self, place: str, hook: Seen) -> None:
        log.info("%s %s: webhook %d is taken away", self._forge.name, place or "(server)", hook.id)
        with suppress(GiteaMissing):
            self._gitea.delete_hook(place, hook.id)


def _no_secret(server: str) -> str:
    return f"no webhook secret is set: {where_set(server, 'webhook_secret')}, any long random text"


def _ours(row: Hook | None) -> Ours:
    return Ours(row.hook_id, row.mark) if row is not None else Ours()


def _columns(judged: Judgement) -> dict[str, Any]:
    seen = {"state": judged.state, "problem": judged.sentence, "cure": ""}
    if judged.more:
        numbers = ", ".join(str(hook.id) for hook in judged.more)
        seen["problem"] = f"{judged.sentence or 'more than one webhook has our address'}; too many: {numbers}"
    return seen


def _served() -> dict[str, Any]:
    """A wider webhook tells of this repository."""
    return {"state": HookState.FINE, "problem": "", "cure": "", "tested_at": None}
