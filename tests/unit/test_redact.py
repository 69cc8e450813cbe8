"""No secret leaves in any form, nobody is notified by chance, and nothing is longer than allowed."""

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from jobs.redact import JOINER, REMOVED, Redactor, cut, harmless_mentions

# What Gitea looks for once Markdown is off (modules/references/references.go).
MENTION = re.compile(
    r"(?:\s|^|\(|\[)(@[-\w][-.\w]*?|@[-\w][-.\w]*?/[-\w][-.\w]*?)(?:\s|$|[:,;.?!](?:\s|$)|'|\)|\])", re.ASCII
)
REFERENCE = re.compile(r"(?:\s|^|\(|\[|'|\")((?:[\w.-]+/[\w.-]+)?[#!][0-9]+)(?:\s|$|\)|\]|[:;,.?!](?:\s|$))", re.ASCII)

TOKEN = "3f786850e387550fdab836ed7e6dc881de23001b"
ODD = 'p&ss"w<rd/ü+% 1'

plain_text = st.text(max_size=60)
secrets = st.text(min_size=8, max_size=40).filter(
    lambda secret: len(secret.strip()) >= 8 and secret.strip() not in REMOVED
)


def basic(secret: str) -> str:
    return base64.b64encode(f"bot:{secret}".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda secret: urllib.parse.quote(secret, safe=""),
    "form": lambda secret: urllib.parse.quote(secret, safe="").lower().replace("%2f", "%2F"),
    "json": json.dumps,
    "html": html.escape,
    "hex": lambda secret: secret.encode().hex(),
    "hex dump": lambda secret: secret.encode().hex(" ").upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 of login and token": basic,
    "base64 one further": lambda secret: base64.b64encode(f"b:{secret}\n".encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 percent-encoded": lambda secret: urllib.parse.quote(basic(secret), safe=""),
    "base64 in lines": lambda secret: base64.encodebytes(("x" * 50 + secret).encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [TOKEN, ODD.lower()])
def test_a_secret_is_found_in_every_form(form: str, secret: str) -> None:
    written = FORMS[form](secret)

    cleaned = Redactor([secret]).clean(f"before {written} after")

    assert REMOVED in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert len(cleaned) - len("before  after") - len(REMOVED) <= len(written) - len(secret) + 4


def test_text_without_secrets_is_left_alone() -> None:
    text = f"A hash like {TOKEN[:-1]}0 is none.\n\ttrue 1 \x00"
    assert Redactor([TOKEN, "1", "true", "  ", ""]).clean(text) == text


def test_of_two_overlapping_secrets_nothing_stays() -> None:
    redactor = Redactor(["abcdefgh12345678", "xxabcdefgh"])
    assert redactor.clean("<xxabcdefgh12345678>") == f"<{REMOVED}>"


def test_a_longer_secret_leaves_no_end_behind() -> None:
    assert Redactor([TOKEN[:10], TOKEN]).clean(f"-{TOKEN}-") == f"-{REMOVED}-"


def test_a_short_secret_is_taken_out_as_it_is() -> None:
    assert Redactor(["s3cr3t"]).clean("the s3cr3t") == f"the {REMOVED}"


def test_a_redactor_does_not_show_what_it_hides() -> None:
    assert TOKEN not in repr(Redactor([TOKEN]))


@settings(deadline=None)
@given(before=plain_text, after=plain_text, secret=secrets, form=st.sampled_from(["plain", "json", "hex", "base64"]))
def test_no_secret_survives(before: str, after: str, secret: str, form: str) -> None:
    written = FORMS[form](secret.strip())
    cleaned = Redactor([secret]).clean(before + written + after)
    assert secret.strip() not in cleaned.replace(REMOVED, "\n")
    assert written not in cleaned


@settings(deadline=None)
@given(text=plain_text, known=st.lists(secrets, max_size=4))
def test_cleaning_never_raises_and_is_done_after_once(text: str, known: list[str]) -> None:
    redactor = Redactor(known)
    once = redactor.clean(text)
    assert all(secret.strip() not in once.replace(REMOVED, "\n") for secret in known)


def notified(text: str) -> set[str]:
    """Whom Gitea would notify: mentions in what is left when Markdown is off and code is out."""
    return {name for part in _prose(text) for name in MENTION.findall(part)}


def referred(text: str) -> set[str]:
    return {name for part in _prose(text) for name in REFERENCE.findall(part)}


def _prose(text: str) -> list[str]:
    """The text nodes, as Gitea's stripper hands them on; HTML and code are none."""
    inlines = [token for token in MarkdownIt("commonmark").parse(text) if token.type == "inline"]
    return [child.content for token in inlines for child in token.children or () if child.type == "text"]


@pytest.mark.parametrize(
    "text",
    [
        "@bob",
        "hello @bob, how",
        "(@bob)",
        "[@bob]",
        "**@bob**",
        "_@bob_",
        "# @bob",
        "> @bob said",
        "- @bob",
        "@acme/owners look",
        "@bob's",
        "text\n@bob\nmore",
        "text\r\n@bob\r\n",
        "@alice/x",
        "@alice-bob",
        "| `a | @bob ` |\n|--|\n",
        "unclosed ` @bob",
        "escaped \\`@bob\\`",
        "`two\n@bob lines`",
        "@\\-bob",
        "@alice\\-bob",
    ],
)
def test_others_are_not_notified(text: str) -> None:
    assert notified(harmless_mentions(text, ["alice"])) == set()


@pytest.mark.parametrize("text", ["@alice", "@Alice: done", "(@alice)", "done, @alice.", "> @ALICE"])
def test_who_is_to_be_told_is_told(text: str) -> None:
    assert harmless_mentions(text, ["Alice"]) == text
    assert notified(text)


@pytest.mark.parametrize("text", ["closes #12", "Fixes: #1, #2", "see acme/widgets#3.", "**#4**", "(!5)", "resolve #6"])
def test_no_issue_is_referred_to(text: str) -> None:
    harmless = harmless_mentions(text)
    assert referred(text)
    assert referred(harmless) == set()
    assert harmless.replace(JOINER, "") == text


@pytest.mark.parametrize(
    "text",
    [
        "mail bob@example.com",
        "https://example.com/@bob/post#12",
        "https://example.com/a/b#12",
        "git@host:acme/widgets.git",
        "# Heading",
        "C# and F!",
        "&#64; &#12;",
        "`@bob closes #1`",
        "```\n@bob #12\n```",
        "~~~ python\n@decorator\n~~~\n",
        "text\n\n    @decorator\n",
        "> ```\n> @x\n> ```",
        "``a ` @b``",
    ],
)
def test_what_notifies_nobody_stays_as_it_is(text: str) -> None:
    assert harmless_mentions(text) == text


PIECES = ("@bob", "@alice", "@acme/team", "#12", "a/b#3", "!4", "<!--", "-->", "``", "```", "~~~", "**", "text")
markdown = st.lists(
    st.sampled_from([*PIECES, *"`_[]()<>|'./&@#\\", "\n", "\n\n", " ", "    ", "> ", "- ", "\t"]),
    max_size=30,
).map("".join)


@given(markdown)
def test_nobody_else_is_ever_notified(text: str) -> None:
    harmless = harmless_mentions(text, ["alice"])
    assert notified(harmless) <= {"@alice"}
    assert referred(harmless) == set()
    assert harmless.replace(JOINER, "") == text


@given(markdown)
def test_doing_it_again_changes_nothing(text: str) -> None:
    once = harmless_mentions(text, ["alice"])
    assert harmless_mentions(once, ["alice"]) == once


NOTE = "*The rest is left out.*"


def test_a_short_text_is_not_cut() -> None:
    assert cut("ünï", 5, NOTE) == "ünï"


def test_a_cut_never_halves_a_character() -> None:
    assert cut("€" * 100, 60, NOTE) == "€" * 11 + "\n\n" + NOTE


@pytest.mark.parametrize("fence", ["```", "~~~~~", "  ```", "`" * 9])
def test_an_open_code_block_is_closed(fence: str) -> None:
    text = cut(f"Look:\n\n{fence} py\n" + "x = 1\n" * 50, 150, NOTE)

    tokens = MarkdownIt("commonmark").parse(text)
    assert [token.type for token in tokens].count("fence") == 1
    assert tokens[-2].content == NOTE
    assert text.endswith(f"\n{fence}\n\n{NOTE}")


def test_an_open_html_comment_is_closed() -> None:
    text = cut("<!-- " + "hidden\n" * 50, 100, NOTE)
    assert MarkdownIt("commonmark").parse(text)[-2].content == NOTE


def test_a_code_block_in_a_list_ends_with_the_list() -> None:
    text = cut("- item\n\n  ```\n" + "  code\n" * 50, 100, NOTE)
    assert text.endswith(f"  cod\n\n{NOTE}")


def test_a_limit_below_the_note_still_holds() -> None:
    assert cut("x" * 100, 7, NOTE) == NOTE[:7]


@settings(deadline=None)
@given(text=st.text(max_size=300) | markdown, limit=st.integers(min_value=0, max_value=200))
def test_nothing_is_longer_than_allowed(text: str, limit: int) -> None:
    assert len(cut(text, limit, NOTE).encode()) <= limit
