"""Reading lines while they are being written."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import tail
from jobs.tail import Tail


def all_of(lines: Tail) -> list[bytes]:
    found: list[bytes] = []
    while more := lines.read():
        found += more
    return found


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    lines = Tail(tmp_path / "events")
    assert (lines.read(), lines.rest()) == ([], [])


def test_a_line_comes_when_its_newline_does(tmp_path: Path) -> None:
    path = tmp_path / "events"
    lines = Tail(path)
    with path.open("wb", buffering=0) as file:
        file.write(b"one\ntw")
        assert all_of(lines) == [b"one"]
        file.write(b"o")
        assert all_of(lines) == []
        file.write(b"\n\nthree")
        assert all_of(lines) == [b"two", b""]
    assert lines.rest() == [b"three"]
    assert lines.rest() == []


@given(st.lists(st.binary(max_size=9), max_size=9), st.lists(st.integers(1, 9)))
def test_however_it_is_written_the_lines_are_the_same(written: list[bytes], pieces: list[int]) -> None:
    text, lines = b"\n".join(written), list[bytes]()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "events").open("wb", buffering=0) as file:
        tailed = Tail(Path(folder) / "events")
        for size in [*pieces, len(text)]:
            piece, text = text[:size], text[size:]
            file.write(piece)
            lines += all_of(tailed)
        lines += tailed.rest()
    assert b"\n".join(lines) == b"\n".join(written).removesuffix(b"\n")


def test_a_line_beyond_all_measure_is_left_out_and_the_next_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_MAX_LINE_BYTES", 100)
    monkeypatch.setattr(tail, "_CHUNK_BYTES", 64)
    path = tmp_path / "events"
    path.write_bytes(b"one\n" + b"x" * 1000 + b"\ntwo\n" + b"y" * 90 + b"\n" + b"z" * 1000)
    lines = Tail(path)
    assert all_of(lines) == [b"one", b"two", b"y" * 90]
    assert lines.rest() == []


def test_a_file_cut_short_is_read_on_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"one\ntwo\n")
    lines = Tail(path)
    assert all_of(lines) == [b"one", b"two"]
    path.write_bytes(b"1\n")
    assert all_of(lines) == []
    with path.open("ab") as file:
        file.write(b"three\n")
    assert all_of(lines) == [b"three"]
