"""The forms a setting may take."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.settings import repo_allowed
from models.values import duration, is_model_name


@pytest.mark.parametrize(
    ("patterns", "repo", "allowed"),
    [
        (["*"], "acme/app", True),
        (["acme/*"], "ACME/App", True),
        (["acme/*"], "acme-evil/app", False),
        (["acme*/x"], "acme/evil/x", False),
        (["*/app"], "acme/app", True),
        (["acme/*", "!acme/secret"], "acme/secret", False),
        (["acme/*", "!acme/secret"], "other/app", False),
        (["!acme/secret", "acme/*"], "acme/secret", True),
        (["!acme/secret"], "other/app", True),
        (["!acme/secret"], "Acme/Secret", False),
        (["*", "!*"], "acme/app", False),
        ([], "acme/app", False),
        (["a?me/ap[op]"], "acme/app", True),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns: list[str], repo: str, allowed: bool) -> None:
    assert repo_allowed(patterns, repo) is allowed


@given(st.text(), st.text())
def test_a_repository_left_out_last_is_never_allowed(owner: str, name: str) -> None:
    assert not repo_allowed(["*", "!*"], f"{owner}/{name}")
    assert repo_allowed(["!none/none", "*"], f"{owner}/{name}")


@given(st.integers(1, 8760), st.sampled_from("smh"))
def test_a_duration_is_what_it_says(count: int, unit: str) -> None:
    assert duration(f"{count}{unit}") == count * timedelta(seconds={"s": 1, "m": 60, "h": 3600}[unit])


@given(st.text())
def test_a_model_name_is_one_word_that_is_no_option(text: str) -> None:
    if is_model_name(text):
        assert not text.startswith("-")
        assert len(text.split()) == 1
