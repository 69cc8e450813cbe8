"""What holds of the comment grammar for every text."""

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from models.grammar import Command, Priority, Verb, parse, render

HIDDEN = st.sampled_from(["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\ufe0f", "\u034f"])
PIECES = st.sampled_from(
    [
        *(
            "/oc",
            "/kugetsu",
            "/opencode",
            "@bot",
            "code",
            "cancel",
            "cdoe",
            "--model",
            "a/b",
            "--fresh",
            "--",
            "=",
            ",",
        ),
        *(
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            " ",
            "    ",
            "\t",
            "> ",
            "- ",
            "1. ",
            "# ",
            "`",
            "```",
            "~~~",
            "*",
            "~~",
            "_",
            "|",
        ),
        *("\n---\n", "<!--", "-->", "<div>", "</div>", "<q>", "</q>", "<a", "[", "](", ")", "]:", "\\", "&", "\x00"),
        *("\ue000", "0", "\u200b", "\u2028", "word", "\ud800"),
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text()
LINES = st.lists(
    st.lists(st.sampled_from(["/oc", "@bot", "code", "--fresh", "cancel", "word", "\u200b"]), max_size=4).map(" ".join),
    max_size=6,
)


@st.composite
def commands(draw: st.DrawFn) -> Command:
    text = draw(st.lists(PIECES, max_size=20).map("".join) | st.text())
    whole = re.sub(r"\r\n|\r", "\n", text)
    whole = re.sub(r"(?i)/(?=oc|kugetsu|opencode)", "", whole)
    lines = whole.split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    return Command(
        verb=draw(st.sampled_from([verb for verb in Verb if verb is not Verb.CONTINUE])),
        instructions="\n".join(lines).rstrip(),
        model=draw(st.none() | st.from_regex(r"\A[a-z]{1,5}/[a-z0-9.:-]{1,9}\Z")),
        priority=draw(st.none() | st.sampled_from(Priority)),
        fresh=draw(st.booleans()),
    )


@given(TEXTS)
def test_nothing_raises(text: str) -> None:
    parse(text, bot=None)
    parse(text, bot="bot")


@given(commands())
def test_what_is_written_reads_back(command: Command) -> None:
    assert parse(render(command), bot=None) == (command,)


@given(TEXTS)
def test_what_is_read_can_be_written_and_read_again(text: str) -> None:
    for asked in parse(text, bot=None):
        if not isinstance(asked, Command):
            continue
        try:
            written = render(asked)
        except ValueError:
            # A silent line may owe its silence to a list begun above the command; without such a line all is written.
            assert "/" in asked.instructions.partition("\n")[2]
        else:
            assert parse(written, bot=None) == (asked,)


@given(TEXTS)
def test_quotes_never_speak(text: str) -> None:
    quoted = "\n".join(f"> {line}" for line in re.split(r"\r\n|\r|\n", text))
    assert parse(quoted, bot="bot") == ()


@given(TEXTS, st.sampled_from("`~"), st.sampled_from(["", "text\n", "> quote\n", "/\n"]))
def test_code_between_fences_never_speaks(text: str, sign: str, before: str) -> None:
    runs = re.findall(f"{sign}+", text)
    fence = sign * max(3, *(len(run) + 1 for run in runs), 3)
    assert parse(f"{before}{fence}\n{text}\n{fence}", bot="bot") == ()
    assert parse(f"{before}{fence}\n{text}", bot="bot") == ()


@given(TEXTS)
def test_indented_lines_never_speak(text: str) -> None:
    indented = "\n".join(f"    {line}" for line in re.split(r"\r\n|\r|\n", text))
    assert parse(indented, bot="bot") == ()


@given(LINES)
def test_code_in_a_line_never_speaks(lines: list[str]) -> None:
    inside = "\n".join(line for line in lines if line.strip())
    assert parse(f"see `x {inside} x`", bot="bot") == ()


@given(TEXTS, st.sampled_from(["", "text\n", "text\n\n"]))
def test_html_comments_never_speak(text: str, before: str) -> None:
    hidden = text.replace("-->", "").replace("--", "")
    assert parse(f"{before}<!--\n{hidden}\n-->", bot="bot") == ()
    assert parse(f"{before}<!--\n{hidden}", bot="bot") == ()


@given(LINES, st.sampled_from(["(u)", "(<u>)", "[r]"]), st.sampled_from(["", "!"]))
def test_link_texts_never_speak(lines: list[str], target: str, image: str) -> None:
    inside = "\n".join(line for line in lines if line.strip())
    assert parse(f"{image}[x {inside} x]{target}\n\n[r]: u", bot="bot") == ()


@given(st.lists(st.tuples(st.integers(0, 15), HIDDEN), max_size=8))
def test_what_shows_nothing_hides_nothing(inserted: list[tuple[int, str]]) -> None:
    text = "/kugetsu cancel"
    for place, sign in inserted:
        text = f"{text[:place]}{sign}{text[place:]}"
    assert parse(text, bot=None) == (Command(Verb.CANCEL),)


@given(st.lists(st.tuples(st.integers(0, 40), HIDDEN), max_size=8), st.sampled_from(["```", "~~~", "> ", "    "]))
def test_what_shows_nothing_forges_nothing(inserted: list[tuple[int, str]], sign: str) -> None:
    silent = "x\n/oc code\ny\n"
    for place, hidden in inserted:
        silent = f"{silent[:place]}{hidden}{silent[place:]}"
    if sign.strip("`~"):
        assert parse("".join(f"{sign}{line}\n" for line in silent.split("\n")), bot=None) == ()
    else:
        assert parse(f"{sign}\n\u200b{sign}\n{silent}\n{sign}", bot=None) == ()


@given(st.text(st.characters(categories=["L", "N", "Zs"])), st.sampled_from(list(Verb)))
def test_a_plain_command_is_always_heard(before: str, verb: Verb) -> None:
    assume(verb is not Verb.CONTINUE)
    assert parse(f"{before}\n\n/oc {verb}", bot=None) == (Command(verb),)
