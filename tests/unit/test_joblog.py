"""A job's log, read in pieces from either end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.redact import Redactor
from webhook.joblog import JobLog, Spot
from webhook.steps import MOST_SHOWN, Entry, as_text, entry_of

Put = Callable[[str, str], None]


def same(text: str) -> str:
    return text


def line(kind: str = "text", at: int = 1_700_000_000_000, **part: object) -> str:
    return json.dumps({"type": kind, "timestamp": at, "part": part}) + "\n"


def tool(name: str, output: str = "", **given: object) -> str:
    return line("tool_use", tool=name, state={"status": "completed", "input": given, "output": output})


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Appends to a file of the job, making its folder."""

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)

    return write


def words(entries: list[Entry]) -> list[str]:
    return [f"{entry.title} {entry.subject}{entry.body}".strip() for entry in entries]


def test_a_log_has_each_run_with_its_setup_its_steps_and_its_check_in_order(tmp_path: Path, put: Put) -> None:
    put("run-1/setup/command.sh", "npm ci")
    put("run-1/setup/events.jsonl", "added 3 packages\n")
    put("run-1/events.jsonl", line(text="Looking.") + tool("bash", "app.py\n", command="ls"))
    put("run-1/stderr.txt", "a warning\n")
    put("run-1/result.json", "{}")
    put("run-1/verify/command.sh", "npm test")
    put("run-1/verify/events.jsonl", "1 failed\n")
    put("run-2/events.jsonl", line(text="Again."))
    found = words(JobLog(tmp_path, same).before(None, ended=True).entries)
    assert found == [
        "setup npm ci",
        "added 3 packages",
        "run-1",
        "Looking.",
        "bash lsapp.py",
        "what it said on standard error",
        "a warning",
        "verify npm test",
        "1 failed",
        "run-2",
        "Again.",
    ]


def test_what_is_appended_is_found_behind_the_last_place(tmp_path: Path, put: Put) -> None:
    put("run-1/events.jsonl", line(text="one"))
    log = JobLog(tmp_path, same)
    window = log.before(None)
    put("run-1/events.jsonl", line(text="two"))
    entries, spot = log.after(window.last)
    assert (words(window.entries), words(entries)) == (["run-1", "one"], ["two"])
    assert log.after(spot) == ([], spot)


def test_a_line_is_told_only_when_it_is_whole(tmp_path: Path, put: Put) -> None:
    whole = line(text="said slowly")
    put("run-1/events.jsonl", line(text="first") + whole[:20])
    log = JobLog(tmp_path, same)
    window = log.before(None)
    assert (words(window.entries), log.after(window.last)[0]) == (["run-1", "first"], [])
    put("run-1/events.jsonl", whole[20:])
    assert words(log.after(window.last)[0]) == ["said slowly"]


def test_a_last_line_without_its_end_counts_once_nobody_writes_any_more(tmp_path: Path, put: Put) -> None:
    put("run-1/events.jsonl", line(text="first") + line(text="last").rstrip("\n"))
    log = JobLog(tmp_path, same)
    window = log.before(None)
    assert words(window.entries) == ["run-1", "first"]
    assert words(log.after(window.last, ended=True)[0]) == ["last"]
    assert words(log.before(None, ended=True).entries) == ["run-1", "first", "last"]


def test_standard_error_waits_until_the_agent_has_ended(tmp_path: Path, put: Put) -> None:
    put("run-1/stderr.txt", "a warning\n")
    put("run-1/events.jsonl", line(text="one"))
    log = JobLog(tmp_path, same)
    window = log.before(None)
    put("run-1/events.jsonl", line(text="two"))
    put("run-1/result.json", "{}")
    assert words(log.after(window.last)[0]) == ["two", "what it said on standard error", "a warning"]


@settings(deadline=None, max_examples=20)
@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=4), most=st.integers(1, 9))
def test_from_either_end_the_pieces_make_the_same_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for run, size in enumerate(sizes, 1):
        (folder / f"run-{run}").mkdir()
        texts = "".join(line(text=f"{run}.{number}") for number in range(size))
        (folder / f"run-{run}" / "events.jsonl").write_text(texts)
    log = JobLog(folder, same)
    forth: list[Entry] = []
    spot: Spot | None = None
    while (piece := log.after(spot, most=most))[0]:
        assert len(piece[0]) <= most
        forth, spot = forth + piece[0], piece[1]
    window = log.before(None, most=most, ended=True)
    back = window.entries
    while window.first is not None:
        window = log.before(window.first, most=most, ended=True)
        back = window.entries + back
    assert words(forth) == words(back) == words(list(log.all()))
    assert len(forth) == sum(sizes) + len(sizes)


def test_a_long_output_of_a_check_comes_in_pieces_of_whole_lines(tmp_path: Path, put: Put) -> None:
    rows = [f"row {number}" for number in range(20_000)]
    put("run-1/verify/events.jsonl", "\n".join(rows) + "\n")
    log = JobLog(tmp_path, same)
    window = log.before(None, most=3)
    texts = [entry.body for entry in window.entries]
    assert texts[-1].endswith("row 19999")
    assert {row for text in texts for row in text.splitlines()} <= set(rows)
    told = [row for entry in log.all() if entry.kind == "output" for row in entry.body.splitlines()]
    assert told == rows


def test_what_the_agent_prints_besides_events_is_passed_over(tmp_path: Path, put: Put) -> None:
    broken = ["no json\n", "[1, 2]\n", '{"type": 7}\n', '{"type": "text", "part": {"text": 3}}\n', "\xff\xfe\n", "\n"]
    put("run-1/events.jsonl", "".join(broken) + line("step_start") + line(text="said"))
    assert words(list(JobLog(tmp_path, same).all())) == ["run-1", "said"]


def test_a_file_that_shrinks_or_goes_breaks_nothing(tmp_path: Path, put: Put) -> None:
    put("run-1/events.jsonl", line(text="one") * 9)
    log = JobLog(tmp_path, same)
    spot = log.before(None).last
    (tmp_path / "run-1/events.jsonl").write_text("")
    assert log.after(spot) == ([], spot)
    (tmp_path / "run-1/events.jsonl").unlink()
    assert (log.after(spot)[0], log.before(None).entries) == ([], [])


def test_a_secret_is_in_no_entry_nor_half_of_it_at_a_cut(tmp_path: Path, put: Put) -> None:
    secret = "hush-" + "0123456789" * 4
    output = "x" * (MOST_SHOWN - 10) + secret + "y" * 5000
    put("run-1/events.jsonl", tool("bash", output, command=f"echo {secret}") + line(text=f"it is {secret}"))
    put("run-1/verify/events.jsonl", f"token {secret}\n")
    log = JobLog(tmp_path, Redactor([secret]).clean)
    entries = list(log.all())
    text = "".join(map(as_text, entries))
    assert "hush-" not in text
    assert text.count("[secret removed]") == 3, "the one at the cut is cut off"
    tool_entry = entries[1]
    assert (tool_entry.cut, len(tool_entry.body)) == (True, MOST_SHOWN)
    spot = Spot.parse(tool_entry.at)
    assert spot is not None
    whole = log.one(spot)
    assert whole is not None
    assert whole.body.count("[secret removed]") == 1
    assert len(whole.body) > 5000


def test_tokens_and_time_of_a_step_are_read() -> None:
    turn = line("step_finish", reason="stop", tokens={"input": 100, "output": 20, "cache": {"read": 5}}, cost=0.5)
    told = entry_of(turn.encode(), "1.events.0", same)
    assert told is not None
    assert (told.kind, told.tokens, told.cost) == ("turn", 125, 0.5)
    used = line("tool_use", tool="edit", state={"status": "error", "error": "no", "time": {"start": 1000, "end": 3500}})
    step = entry_of(used.encode(), "1.events.0", same)
    assert step is not None
    assert (step.title, step.failed, step.seconds, step.body) == ("edit", True, 2.5, "no")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("/home/k/worktrees/gitea-acme-widgets-1/tree/src/app.py", "src/app.py"),
        ("/etc/passwd", "/etc/passwd"),
        ("/home/k/worktrees/gitea-acme-widgets-1/tree/", "/home/k/worktrees/gitea-acme-widgets-1/tree/"),
    ],
)
def test_a_file_of_the_agents_place_is_named_as_in_its_repository(given: str, shown: str) -> None:
    entry = entry_of(tool("read", filePath=given).encode(), "1.events.0", same)
    assert entry is not None
    assert entry.subject == shown


@pytest.mark.parametrize(
    "text", ["", "1", "1.events", "x.events.0", "1.other.0", "1.events.x", "1.events.0.0", "٣.events.0"]
)
def test_a_place_that_is_none_is_not_understood(text: str) -> None:
    assert Spot.parse(text) is None


@pytest.mark.parametrize("spot", [Spot(1, 0, -1), Spot(2, 3, 0), Spot(31, 7, 10**9)])
def test_a_place_is_written_and_read_back(spot: Spot) -> None:
    assert Spot.parse(str(spot)) == spot
