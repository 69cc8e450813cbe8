"""What the real opencode is given beside the prompt: images, and the repository's own configuration."""

import base64

import pytest

from jobs.transcript import Completed
from tests.fakes.llm import turn
from tests.live.conftest import Live

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PLUGIN = b"require('fs').writeFileSync(process.env.TMPDIR + '/%s', ''); export const it = async () => ({})\n"


def test_images_reach_the_model_and_nothing_of_the_branch_under_work_runs(live: Live) -> None:
    """The default branch's configuration is in force where that branch allows it; the tree's never is."""
    planted = live.place.tree / ".opencode/plugin/evil.js"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(PLUGIN % b"evil")
    live.llm.play(turn("Seen."))
    own = {"plugin/ours.js": PLUGIN % b"ours", "opencode.json": b'{"instructions": ["./style.md"]}'}
    ended = live.follow(live.start("Look.", images={"attached-1.png": PIXEL}, own_config=own))
    assert ended.verdict == Completed("Seen.")
    (image,) = live.llm.turns[0].images
    assert image == f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert (live.place.tmp / "ours").exists()
    assert not (live.place.tmp / "evil").exists()


def test_the_same_plugin_runs_where_nothing_takes_it_away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr("jobs.opencode._OPENCODE_PRELUDE", "")
    planted = live.place.tree / ".opencode/plugin/evil.js"
    planted.parent.mkdir(parents=True)
    planted.write_bytes(PLUGIN % b"evil")
    live.llm.play(turn("Seen."))
    live.run()
    assert (live.place.tmp / "evil").exists()
