"""Texts at random: what a real Gitea does not show to its readers is not told to the agent either."""

import random
import re
from html.parser import HTMLParser

import httpx

from jobs.quoting import visible
from tests.real.server import GiteaServer

TEXTS = 500
PARTS = (
    *(
        "[",
        "]",
        "(",
        ")",
        "![",
        "!",
        '"',
        "'",
        "<",
        ">",
        "\\",
        "`",
        "``",
        "](",
        "][",
        ":",
        "|",
        "*",
        "&amp;",
        "http://h/",
    ),
    *("<a ", 'title="', "alt=", "<img src=", "/>", "<!--", "-->", "</a>", "<b>", "<details>", "<p ", "</b>", "<ul>"),
    *("<br/>", "1. ", 'href="', '"> ', "='", '="', "<title>", "<pre>", "</pre>", "<textarea>", "<kbd>", "<div>"),
    *("```", "~~~", '<p title="x" '),
)
BREAKS = ("\n", "\n\n", "> ", "- ", "    ", "\n<div ", "\n> <p ", "\n```", " ", " ")
KEPT = re.compile(
    r'\w<[A-Za-z][A-Za-z0-9]*>|(```|~~~)[ \t]*[\w+#.-]{1,20}|<(a|img|source|video|audio) (href|src)="[^"]*"'
)
"""What is told although it is not seen: parameters of types, languages of code, addresses."""


class Page(HTMLParser):
    """The words that a page shows, and those of its addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.seen += [value for name, value in attrs if name in {"href", "src"} and value]

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def words(text: str) -> set[str]:
    return set(re.findall(r"w\d+q", text))


def text_of(chance: random.Random) -> str:
    """Words among what means something in Markdown and in HTML."""
    count = chance.randint(3, 22)
    marks = (chance.choice(chance.choice((PARTS, BREAKS))) for _ in range(count))
    return "".join(f"w{number}q" if chance.random() < 0.35 else mark for number, mark in enumerate(marks))


def test_what_a_page_hides_is_hidden_from_the_agent(real_server: GiteaServer) -> None:
    chance, admin = random.Random(20261123), real_server.admin  # noqa: S311 - the same texts each time
    leaks = {}
    with httpx.Client(base_url=real_server.url, auth=(admin.login, admin.password), timeout=30, trust_env=False) as web:
        for _ in range(TEXTS):
            text = text_of(chance)
            page = Page(web.post("/api/v1/markdown", json={"Text": text, "Mode": "comment"}).text)
            told = KEPT.sub(" ", visible(text))
            if more := words(told) - words(" ".join(page.seen)):
                leaks[text] = more
    assert leaks == {}
