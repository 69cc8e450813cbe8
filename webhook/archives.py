"""`kugetsu backup FILE` and `kugetsu restore FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from jobs import backup, restoring
from jobs.backup import BackupRefused
from jobs.mirror import MirrorBusy
from models.disk import spoken
from models.reading import CONFIG_VARIABLE
from models.settings import Settings
from webhook.signals import exit_at_end


def back_up(settings: Settings, environ: Mapping[str, str], file: Path) -> int:
    """Write the archive and say what is in it, and what is not."""
    named = environ.get(CONFIG_VARIABLE, "").strip()
    config = Path(named).expanduser() if named else None
    exit_at_end("kugetsu: ended before it was complete, so nothing is written")
    try:
        made = backup.back_up(settings.home, file, config=config, version=version("kugetsu"))
    except MirrorBusy as busy:
        raise BackupRefused(str(busy)) from None
    print(f"{made.path}: {made.files} files, {spoken(made.size)}. It holds secrets. Settings that come from the")
    print("environment are not in it.")
    return 0


def restore(settings: Settings, environ: Mapping[str, str], file: Path) -> int:
    """Unpack the archive and say what goes on."""
    del environ
    done = restoring.restore(file, settings.home)
    print(f"{settings.home}: restored from a backup of Kugetsu {done.version}; {done.jobs_running} jobs go on when it")
    print("is started. The service from which it came must not run any more.")
    if done.moved:
        print("Its KUGETSU_HOME was another folder, so agents begin new sessions; their work is as it was.")
    return 0
