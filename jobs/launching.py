"""From a job and its place to a running agent: arguments, environment, prompt, sandbox, limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jobs import agent, guidance, opencode, presence, repofile
from jobs.agent import LaunchFailed, RunSpec
from jobs.allowance import limits_of
from jobs.briefing import brief
from jobs.errand import Errand
from jobs.gateway import catalogue
from jobs.gateway.door import Door
from jobs.gateway.doors import Doors
from jobs.gateway.providers import ConfigBroken
from jobs.mirror import Mirror
from jobs.opencode import Invocation, Program, Surroundings
from jobs.place import Place
from jobs.recipes import Terms
from jobs.sandbox import Sandbox
from jobs.wiring import Wiring
from models.tables import Thread


@dataclass(frozen=True)
class Launching:
    """How agents are started here. `doors` lead to the gateway that holds the keys for them."""

    wiring: Wiring
    program: Program
    sandbox: Sandbox
    doors: Doors

    @cached_property
    def agent_name(self) -> str:
        """What `program` is, such as "opencode 1.18.33". Asking it takes a second or more of processor time."""
        scratch = presence.folder_of(self.wiring.settings.home, self.wiring.worker)
        return agent.version(self.program, self.sandbox, scratch) or self.program.name

    def renew_prices(self) -> None:
        """Have the gateway know what models cost. May take some seconds."""
        arrangement, home = self.doors.door().arrangement, self.wiring.settings.home
        catalogue.renew(home, arrangement, self.program, self.agent_name, self.sandbox)

    def launch(
        self,
        errand: Errand,
        place: Place,
        mirror: Path,
        terms: Terms,
        *,
        session: str | None,
        check: Callable[[], None],
    ) -> None:
        """Start the agent on this errand; raises `AgentLocked`, `LaunchFailed` or `GatewayFailed`, and what `check`
        raises, which is asked at last. `session` is one to go on with.
        """
        wiring, thread = self.wiring, errand.thread
        briefing = brief(wiring, errand, terms, mirror, known=session is not None, temp_dir=str(place.tmp))
        given = self._surroundings(errand, place, mirror)
        invocation = Invocation(
            program=self.program,
            session=session,
            model=terms.model,
            title=f"{thread.repo.name}#{thread.issue}",
            images=tuple(str(errand.run_dir / name) for name in briefing.images),
        )
        check()
        agent.launch(
            RunSpec(
                argv=invocation.argv(),
                env=opencode.environment(given, self.program),
                prompt=briefing.prompt,
                place=place,
                sandbox=self.sandbox,
                lock=errand.lock,
                run_dir=errand.run_dir,
                limits=limits_of(wiring.settings, terms.timeout),
                files={**opencode.files(given), **briefing.images},
                read_only=[*opencode.read_only(given, self.program), mirror / "objects"],
                hide=(wiring.settings.home.resolve(),),
            )
        )
        Thread.update(told_until=briefing.told_until).where(Thread.id == thread.id).execute(wiring.db)

    def _surroundings(self, errand: Errand, place: Place, mirror: Path) -> Surroundings:
        home = self.wiring.settings.home.resolve()
        models, identity = home / "models.json", errand.forge.identity
        door = self._door()
        config = door.config_for(self.wiring.db, errand.job.id)
        return Surroundings(
            place=place,
            run_dir=errand.run_dir,
            bot_name=identity.name,
            bot_email=identity.email,
            sandboxed=self.sandbox.kind == "bwrap",
            guide=self._guide(errand, mirror),
            own_config=self._own_config(errand, mirror),
            config=json.dumps(config) if config is not None else None,
            models=models if models.is_file() else None,
            extra=door.arrangement.env,
        )

    def _guide(self, errand: Errand, mirror: Path) -> str | None:
        """The repository's AGENTS.md, of the default branch: what the branch under work says guides nobody."""
        found = guidance.read(Mirror(mirror), self._default_branch(errand), guidance.GUIDE)
        return found.decode(errors="replace") if found is not None else None

    def _own_config(self, errand: Errand, mirror: Path) -> Mapping[str, bytes]:
        """The repository's own opencode configuration, of the default branch, where that allows it."""
        if not repofile.kept(self.wiring, errand.thread.repo).allow_agent_config:
            return {}
        return guidance.configuration(Mirror(mirror), self._default_branch(errand))

    def _default_branch(self, errand: Errand) -> str:
        return errand.forge.default_branch(errand.thread.repo.name)

    def _door(self) -> Door:
        try:
            return self.doors.door()
        except ConfigBroken as error:
            raise LaunchFailed(f"{error}") from None
