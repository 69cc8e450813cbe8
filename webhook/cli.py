"""The command line, `kugetsu serve` and the others. Here, and only here, the environment is read.

Each command imports what it needs when it runs: `serve` lives as long as the service, and does none of the work itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from jobs import processes
from models import trouble
from models.refusal import Refused
from models.settings import DEFAULT_SERVER, Settings, SettingsError, load
from webhook import doctor
from webhook.logs import set_up_logging
from webhook.supervisor import Supervisor

NOT_NOW, WRONG = 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 well, 1 the answer is no, 2 the settings or arguments are wrong."""
    arguments = _parser().parse_args(argv)
    if arguments.with_parent is not None:
        processes.die_with_parent(signal.SIGTERM, arguments.with_parent)
    try:
        settings = load(os.environ)
        refuse_what_is_not_there(settings)
        if "examine" in arguments:
            return int(arguments.examine(settings, os.environ, arguments))
        set_up_logging(settings, os.environ)
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if "file" in arguments:
            return int(arguments.act(settings, os.environ, arguments.file))
        return int(arguments.act(settings, os.environ, arguments))
    except Exception as error:
        if (words := trouble.of_storage(error)) is not None:
            print(f"kugetsu: {words} ({error})", file=sys.stderr)
            return NOT_NOW
        if not isinstance(error, (Refused, OSError)):
            raise
        print(f"kugetsu: {_in_a_line(error)}", file=sys.stderr)
        return WRONG


def _in_a_line(error: Exception) -> str:
    """What is wrong, and what would be right."""
    if isinstance(error, PermissionError) and error.filename is not None:
        return (
            f"{error.filename}: {error.strerror} for the user of number {os.geteuid()}, who runs this; right would be "
            "to run it as the owner of that folder, or to give the folder to this user"
        )
    return f"{error}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kugetsu", description="Turns Gitea issues into finished work.")
    parser.add_argument("--version", action="version", version=f"kugetsu {version('kugetsu')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, act, says in (
        ("serve", _serve, "receive webhooks and do the work, all in one"),
        ("web", _web, "the HTTP side alone"),
        ("worker", _worker, "the work side alone"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("--with-parent", type=int, metavar="PID", help=argparse.SUPPRESS)
        command.add_argument("--listening", type=int, help=argparse.SUPPRESS)
        command.add_argument("--set-up", action="store_true", help=argparse.SUPPRESS)
        command.set_defaults(act=act)
    for name, does, says in (
        ("backup", _back_up, "write all of a service, running or not, into one new file"),
        ("restore", _restore, "unpack a backup into an empty KUGETSU_HOME"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("file", type=Path, metavar="FILE", help=".tar, or .tar.gz to have it packed")
        command.set_defaults(act=does, with_parent=None)
    doctor.add_command(commands)
    return parser


def refuse_what_is_not_there(settings: Settings) -> None:
    """Raise SettingsError for a choice that this version cannot follow: better now than silently something else."""
    if settings.database_url is not None:
        raise SettingsError(
            "KUGETSU_DATABASE_URL is set, but this version keeps its tables in SQLite only; right would be to unset it"
        )
    server = settings.servers.get(DEFAULT_SERVER)
    if settings.oauth_client_id is not None and not (server and server.url):
        raise SettingsError("KUGETSU_OAUTH_CLIENT_ID is set, but not KUGETSU_GITEA_URL, where people would sign in")
    if settings.oauth_client_secret is not None and settings.oauth_client_id is None:
        raise SettingsError("KUGETSU_OAUTH_CLIENT_SECRET is set; right would be KUGETSU_OAUTH_CLIENT_ID beside it")
    if settings.agent_runner != "process":
        raise SettingsError(f"KUGETSU_AGENT_RUNNER is {settings.agent_runner!r}; right would be 'process'")
    home = settings.home.resolve()
    for path in settings.sandbox_paths:
        if not path.exists():
            raise SettingsError(f"KUGETSU_SANDBOX_PATHS names {path}, which is not there")
        if home.is_relative_to(path.resolve()) or path.resolve().is_relative_to(home):
            raise SettingsError(
                f"KUGETSU_SANDBOX_PATHS names {path}, which agents must not see: KUGETSU_HOME is {home}"
            )


def _web(settings: Settings, environ: Mapping[str, str], arguments: argparse.Namespace) -> int:
    from webhook.receiving import receive

    return receive(settings, environ, listening=arguments.listening, set_up=arguments.set_up)


def _worker(settings: Settings, environ: Mapping[str, str], arguments: argparse.Namespace) -> int:
    from webhook.working import work

    del arguments
    return work(settings, environ)


def _back_up(settings: Settings, environ: Mapping[str, str], file: Path) -> int:
    from webhook.archives import back_up

    return back_up(settings, environ, file)


def _restore(settings: Settings, environ: Mapping[str, str], file: Path) -> int:
    from webhook.archives import restore

    return restore(settings, environ, file)


def _serve(settings: Settings, environ: Mapping[str, str], arguments: argparse.Namespace) -> int:
    """Both halves as processes of their own, so that neither can take the other down; started again when one ends."""
    del arguments
    return Supervisor(settings, environ).run()


if __name__ == "__main__":
    sys.exit(main())
