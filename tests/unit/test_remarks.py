"""What a reviewing agent wrote, and where it lands."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.difflines import DiffLines, FileLines
from jobs.remarks import MOST_COMMENTS, Ground, Placed, Remark, Written, place, read

TREE = "/home/x/tree"


def written(*items: object, summary: str = "Fine.") -> Written:
    return read(json.dumps({"summary": summary, "comments": items}), tree=TREE)


def lines(path: str, changed: list[tuple[str, int]], beside: list[tuple[str, int]] | None = None) -> DiffLines:
    marked = frozenset(changed)
    return DiffLines({path: FileLines(marked | frozenset(beside or []), marked)})  # type: ignore[arg-type]


def test_a_remark_is_read() -> None:
    found = written({"path": "a.py", "line": 3, "side": "old", "body": " Why? "})
    assert found == Written("Fine.", (Remark("a.py", 3, "Why?", "old"),))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"side": "RIGHT"}, Remark("a.py", 3, "Why?")),
        ({"side": "LEFT"}, Remark("a.py", 3, "Why?", "old")),
        ({"side": None}, Remark("a.py", 3, "Why?")),
        ({"line": "3"}, Remark("a.py", 3, "Why?")),
        ({"path": "./a.py"}, Remark("a.py", 3, "Why?")),
        ({"path": f"{TREE}/a.py"}, Remark("a.py", 3, "Why?")),
    ],
)
def test_what_is_meant_is_understood(given: dict[str, object], meant: Remark) -> None:
    assert written({"path": "a.py", "line": 3, "body": "Why?", **given}).remarks == (meant,)


@pytest.mark.parametrize(
    "given",
    [
        {"path": ""},
        {"path": 7},
        {"line": 0},
        {"line": -3},
        {"line": 2.5},
        {"line": None},
        {"body": " "},
        {"side": "up"},
    ],
)
def test_what_makes_no_sense_is_counted(given: dict[str, object]) -> None:
    found = written(
        {"path": "a.py", "line": 3, "body": "Why?", **given}, "a string", {"path": "b", "line": 1, "body": "B"}
    )
    assert (found.unread, [each.path for each in found.remarks]) == (2, ["b"])


@pytest.mark.parametrize("text", ["", "{", "3", '"x"', "nul", "{'a': 1}"])
def test_what_is_no_json_object_is_a_problem(text: str) -> None:
    assert read(text, tree=TREE).problem


def test_a_fenced_object_and_a_bare_list_are_read() -> None:
    item = {"path": "a.py", "line": 3, "body": "Why?"}
    fenced = f"```json\n{json.dumps({'summary': 'S', 'comments': [item]})}\n```\n"
    assert read(fenced, tree=TREE).summary == "S"
    assert len(read(json.dumps([item]), tree=TREE).remarks) == 1


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    read(text, tree=TREE)


KEYS = st.sampled_from(["path", "line", "side", "body", "summary", "comments"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(JSON)
def test_reading_any_json_never_raises(value: object) -> None:
    read(json.dumps(value), tree=TREE)


def test_remarks_stand_on_lines_of_the_diff_only() -> None:
    ground = Ground(lines("a.py", [("new", 3), ("old", 4)], [("new", 2)]))
    said = (
        Remark("a.py", 3, "on it"),
        Remark("a.py", 2, "beside it"),
        Remark("a.py", 4, "gone", "old"),
        Remark("a.py", 9, "elsewhere"),
        Remark("b.py", 3, "other file"),
    )
    placed = place(Written("S", said), ground)
    assert [each.body for each in placed.remarks] == ["on it", "beside it", "gone"]
    assert [each.body for each in placed.loose] == ["elsewhere", "other file"]


def test_what_is_said_twice_is_said_once() -> None:
    ground = Ground(lines("a.py", [("new", 3)]))
    assert len(place(Written("", (Remark("a.py", 3, "x"), Remark("a.py", 3, "x"))), ground).remarks) == 1


def test_after_a_review_only_new_lines_are_remarked_on() -> None:
    whole = lines("a.py", [("new", 3), ("new", 8), ("old", 3), ("old", 7)], [("new", 4)])
    ground = Ground(whole, news=lines("a.py", [("new", 8)]), earlier=lines("a.py", [("new", 3), ("old", 3)]))
    said = [Remark("a.py", line, "x") for line in (3, 4, 8)] + [Remark("a.py", line, "x", "old") for line in (3, 7)]
    placed = place(Written("", tuple(said)), ground)
    assert [each.at for each in placed.remarks] == [("new", 8), ("old", 7)]
    assert placed.dropped == 3


def test_more_than_fit_go_into_the_text() -> None:
    many = range(1, MOST_COMMENTS + 11)
    ground = Ground(lines("a.py", [("new", number) for number in many]))
    placed = place(Written("", tuple(Remark("a.py", number, "x") for number in many)), ground)
    assert (len(placed.remarks), len(placed.loose)) == (MOST_COMMENTS, 10)


def test_a_placed_review_is_kept_as_json() -> None:
    placed = Placed("S", (Remark("a", 1, "x", "old"),), (), 1, 2, "p")
    assert msgspec.json.decode(msgspec.json.encode(placed), type=Placed) == placed
