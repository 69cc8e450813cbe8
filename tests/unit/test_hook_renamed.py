"""A webhook that was taken away for good stays away when its repository gets another name."""

from jobs.hook_care import LOOK_SECONDS
from tests.unit.hook_stage import REPO, Service, Stage


def test_one_that_was_taken_away_stays_away_under_another_name(stage: Stage, service: Service) -> None:
    assert service.ask(remove=True) == 202
    service.look()
    assert (stage.hooks(), service.state()) == ([], "removed")
    renamed = stage.gitea.rename(REPO, "gadgets")
    service.look(LOOK_SECONDS + 1)
    service.look(LOOK_SECONDS + 1)
    assert stage.hooks(renamed) == []
