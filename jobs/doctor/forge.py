"""One Gitea or Forgejo: that it is there and new enough, that its clock goes right, and what our token may do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from jobs.gitea import SCOPE_PROBES, Gitea, GiteaDown, GiteaError, GiteaRefused
from jobs.gitea_answers import GiteaMissing, GiteaRejected
from models import hooks
from models.checkup import Finding, Level, unknown, warning, well, wrong
from models.settings import Server, Settings
from models.side_by_side import where_set
from models.wire import ServerVersion

OLDEST = {"Gitea": (1, 22), "Forgejo": (7, 0)}
CLOCK_SECONDS = 60.0
"""Two clocks may differ by so much."""

_CAUSES = (
    (
        r"wrong.version.number|record.layer|\bEOF\b",
        "no TLS is spoken there",
        "curl -v PLAIN/api/v1/version",
    ),
    ("certificate", "its certificate does not hold", "update-ca-certificates, once the authority's is where it looks"),
    ("name or service|nodename|resol|getaddrinfo|no address", "its name cannot be resolved", "getent hosts HOST"),
    ("refused", "nothing listens there", "curl -v URL"),
    ("tim(ed|e).?out|longer than", "it does not answer in time", "curl -v URL"),
    ("not Gitea's|unreadable|redirected", "what answers there is no Gitea", "curl -v URL/api/v1/version"),
)
_SUGGESTION = "$(openssl rand -hex 32)"


def settings_of(server: Server) -> Iterator[Finding]:
    """What the settings must say of it."""
    needs = {
        "an address": (server.url, "url", "https://git.example.com"),
        "a token": (server.token, "token", "…, made at the bot's Settings, Applications"),
        "a webhook secret": (server.webhook_secrets, "webhook_secret", _SUGGESTION),
    }
    for name, (value, key, example) in needs.items():
        if not value:
            cure = f"{where_set(server.name, key)}={example}"
            why = "this server cannot be worked with"
            yield wrong("settings", f"{name} is not set", where=server.name, why=why, cure=cure)


def look(gitea: Gitea, server: Server, settings: Settings, clock: Callable[[], float]) -> Iterator[Finding]:
    """From the connection to what the token may; what cannot be looked at any more is left out."""
    reach = connection(gitea, server, clock)
    yield from reach
    if any(finding.level == Level.WRONG and finding.check == "gitea" for finding in reach):
        return
    found = account(gitea, server)
    yield from found
    if any(finding.level == Level.WRONG for finding in found):
        return
    unreachable = hooks.why_unreachable(settings, server)
    if unreachable:
        cure = "set KUGETSU_PUBLIC_URL=http://HOST:8420, as Gitea's machine knows this one"
        yield wrong("address", unreachable, where=server.name, why="webhooks lead nowhere", cure=cure)


def connection(gitea: Gitea, server: Server, clock: Callable[[], float]) -> list[Finding]:
    """Whether it answers, its version, and its clock."""
    try:
        answer = gitea.request("GET", "/version")
        version = answer.read(ServerVersion).version
    except GiteaRefused:
        return []  # it is there, and wants a token that is good: the next link
    except GiteaError as error:
        return [_unreachable(server, error)]
    found = [_version(server, version)]
    if (dated := answer.headers.get("Date")) is not None:
        found.append(_clock(server, parsedate_to_datetime(dated).timestamp(), clock()))
    return found


def _unreachable(server: Server, error: GiteaError) -> Finding:
    why = "nothing can be read or answered there"
    said = error.reason if isinstance(error, GiteaDown) else str(error)
    is_reset = server.url.startswith("https:") and "reset by peer" in said
    seen = "EOF" if is_reset else said  # some close the connection at the first words of TLS, some reset it
    for pattern, words, command in _CAUSES:
        if re.search(pattern, seen, re.IGNORECASE):
            what = f"{server.url} cannot be used: {words} ({said})"
            return wrong("gitea", what, where=server.name, why=why, cure=_filled_in(command, server.url))
    if isinstance(error, GiteaMissing):
        said = "what answers there is no Gitea"
    cure = f"curl -v {server.url}/api/v1/version; the setting is {where_set(server.name, 'url')}"
    return wrong("gitea", f"{server.url} cannot be used: {said}", where=server.name, why=why, cure=cure)


def _filled_in(command: str, url: str) -> str:
    """PLAIN is the same address without TLS."""
    host, plain = urlsplit(url).hostname or "", url.replace("https:", "http:", 1)
    return command.replace("PLAIN", plain).replace("URL", url).replace("HOST", host)


def _version(server: Server, version: str) -> Finding:
    kind = "Forgejo" if "+gitea" in version else "Gitea"
    found = re.match(r"(\d+)\.(\d+)", version)
    what = f"{kind} {version} at {server.url}"
    if found is not None and (int(found[1]), int(found[2])) < OLDEST[kind]:
        oldest = ".".join(map(str, OLDEST[kind]))
        why = f"Kugetsu is tested from {oldest} on"
        return warning("gitea", what, where=server.name, why=why, cure=f"update {kind}")
    return well("gitea", what, server.name)


def _clock(server: Server, theirs: float, ours: float) -> Finding:
    apart = theirs - ours
    if abs(apart) <= CLOCK_SECONDS:
        return well("clock", "both clocks agree", server.name)
    what = f"the clock of {server.url} is {abs(apart):.0f} seconds {'ahead of' if apart > 0 else 'behind'} ours"
    why = "what was lost is looked for at the wrong time, and people are told wrong times"
    return wrong(
        "clock", what, where=server.name, why=why, cure="timedatectl set-ntp true, on the machine that is wrong"
    )


def account(gitea: Gitea, server: Server) -> list[Finding]:
    """Whose token it is, and every scope that it lacks, in one go: a token's scopes cannot be changed."""
    who = token(gitea, server)
    if who.check == "token" and who.level == Level.WRONG:
        return [who]
    lacks_another = who.level == Level.WRONG
    return [who, *(found for found in scopes(gitea, server) if not (lacks_another and found.level == Level.WELL))]


def token(gitea: Gitea, server: Server) -> Finding:
    """Whose token it is, if it is good."""
    page = f"{server.url}/user/settings/applications"
    try:
        me = gitea.me()
    except GiteaRefused as refused:
        if refused.missing_scope:
            return _lacks(server, refused.missing_scope)
        why = "nothing can be read or written"
        return wrong("token", f"the token is not good: {refused.message}", where=server.name, why=why, cure=page)
    except GiteaError as error:
        return wrong("token", f"our own account cannot be read: {error}", where=server.name, why="", cure=page)
    return well("token", f"of the account {me.login}", server.name)


def scopes(gitea: Gitea, server: Server) -> Iterator[Finding]:
    """Each scope that our work needs and the token lacks."""
    lacking = 0
    for probe in SCOPE_PROBES:
        try:
            gitea.request("DELETE", probe)
        except GiteaRefused as refused:
            if refused.missing_scope:
                lacking += 1
                yield _lacks(server, refused.missing_scope)
        except (GiteaMissing, GiteaRejected):
            continue
        except GiteaDown as down:
            yield unknown("scopes", f"they could not be looked at: {down}", where=server.name)
            return
    if not lacking:
        yield well("scopes", "write:issue, write:repository, read:user", server.name)


def _lacks(server: Server, scope: str) -> Finding:
    what = f"the token lacks the scope {scope}"
    why = "a token's scopes cannot be changed: make another one with write:issue, write:repository and read:user"
    return wrong("scopes", what, where=server.name, why=why, cure=f"{server.url}/user/settings/applications")
