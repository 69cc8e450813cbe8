"""The comment grammar, by example; what holds for every text is in test_grammar_properties.py."""

import pytest

from models.grammar import READ_CHARACTERS as LIMIT
from models.grammar import BadOption, Command, Misspelt, Priority, Verb, help_text, parse, render


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/kugetsu", Command(Verb.CONTINUE)),
        ("/kugetsu code", Command(Verb.CODE)),
        ("/oc research why it is slow", Command(Verb.RESEARCH, "why it is slow")),
        ("/opencode review", Command(Verb.REVIEW)),
        ("@kugetsu-bot fix the crash", Command(Verb.CONTINUE, "fix the crash")),
        ("@Kugetsu-Bot, please fix it", Command(Verb.CONTINUE, "please fix it")),
        ("/KUGETSU: Cancel!", Command(Verb.CANCEL)),
        ("   /oc status?", Command(Verb.STATUS)),
        ("/oc help", Command(Verb.HELP)),
        ("/oc retry", Command(Verb.RETRY)),
        ("/oc\tcode\u00a0it", Command(Verb.CODE, "it")),
        ("/oc yes", Command(Verb.CONTINUE, "yes")),
        ("/oc\nreview the code", Command(Verb.CONTINUE, "review the code")),
        ("/oc code --fresh", Command(Verb.CODE, fresh=True)),
        ("/oc --fresh code it", Command(Verb.CODE, "it", fresh=True)),
        ("/oc code --model acme/big --priority HIGH it", Command(Verb.CODE, "it", "acme/big", Priority.HIGH)),
        ("/oc --model=`a/b` --Priority=low", Command(Verb.CONTINUE, "", "a/b", Priority.LOW)),
        ("/oc \u2014model a/b go", Command(Verb.CONTINUE, "go", "a/b")),
        ("/oc \u2014please go", Command(Verb.CONTINUE, "\u2014please go")),
        ("/oc code use --verbose there", Command(Verb.CODE, "use --verbose there")),
        ("/oc code -- --verbose is missing", Command(Verb.CODE, "--verbose is missing")),
        ("/oc --- go", Command(Verb.CONTINUE, "--- go")),
        ("/oc code\r\none\rtwo\n", Command(Verb.CODE, "one\ntwo")),
        ("/oc code\n\n    indented\n\n> quoted\n\n", Command(Verb.CODE, "    indented\n\n> quoted")),
        ("Dear bot,\n\n/oc code", Command(Verb.CODE)),
        ("in a paragraph\n/oc code", Command(Verb.CODE)),
        ("- a list\n/oc code", Command(Verb.CODE)),
        ("/oc code\n---\nmore", Command(Verb.CODE, "---\nmore")),
        ("> a quote\n\n/oc code", Command(Verb.CODE)),
        ("```\ncode\n```\n/oc code", Command(Verb.CODE)),
        ("The type `List` and List<s> and <!-- never closed\n/oc code", Command(Verb.CODE)),
        ("<details>\n\nfolded\n\n</details>\n\n/oc code", Command(Verb.CODE)),
        ("\u200b/ku\u200dgetsu can\u00adcel", Command(Verb.CANCEL)),
        ("\ufeff/oc --fr\u2060esh", Command(Verb.CONTINUE, fresh=True)),
        ("/oc \u200b code \ue0000\ue000", Command(Verb.CODE, "\ue0000\ue000")),
    ],
)
def test_what_is_asked(text: str, command: Command) -> None:
    assert parse(text, bot="kugetsu-bot") == (command,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "thanks!",
        "use /kugetsu code for that",
        "/kugetsus",
        "/oc/config",
        "/ocode",
        "//oc code",
        "\\/oc code",
        "@kugetsu-bots fix it",
        "@kugetsu-bot.example fix it",
        "mail@kugetsu-bot fix it",
        "# /oc code",
        "- /oc code",
        "1. /oc code",
        "> /oc code",
        ">/oc code",
        "> a quote\n/oc code",
        "> > deep\n/oc code",
        "> ```\n> /oc code\n> ```",
        "    /oc code",
        "text\n    /oc code",
        "\t/oc code",
        "```\n/oc code\n```",
        "~~~ text\n/oc code",
        "``` \n\u200b```\n/oc code\n```",
        "- ```\n  /oc code\n  ```",
        "`/oc code`",
        "`a\n/oc code\nb`",
        "``a ` \n/oc code ``",
        "<!-- /oc code -->",
        "<!--\n/oc code\n-->",
        "<!--\n\n/oc code\n\n-->",
        "<!--\n/oc code",
        "hidden <!--\n/oc code\n-->",
        "half hidden <!--\n\n/oc code\n\n--> end",
        "<div>\n/oc code\n</div>",
        "<pre>\n\n/oc code\n\n</pre>",
        "<blockquote>\n\n/oc code\n\n</blockquote>",
        "<details><summary>log</summary>\n\n/oc code\n\n</details>",
        "said: <q>\n/oc code\n</q>",
        '<a href="x">text\n/oc code</a>',
        "[text\n/oc code](https://example.com)",
        "![text\n/oc code](https://example.com)",
        "[text\n/oc code][ref]\n\n[ref]: https://example.com",
        '[text](https://example.com "\n/oc code\n")',
        "[ref]:\n/oc\n'title'",
        "*emphasis\n/oc code*",
        "~~struck out\n/oc code~~",
        "a | b\n--|--\n/oc | code",
        "/oc | code\n--|--\na | b",
        "/ku\u0261etsu code",
        "\u2028/oc code",
        "text\u2028/oc code",
        "text\x0b/oc code",
        "/oc\ue0000\ue000 code",
    ],
)
def test_what_does_not_speak(text: str) -> None:
    assert parse(text, bot="kugetsu-bot") == ()


def test_a_mention_counts_only_for_the_login_we_have() -> None:
    assert parse("@kugetsu fix it", bot=None) == ()
    assert parse("@kugetsu fix it", bot="other") == ()
    assert parse("@a.b fix it", bot="a.b") == (Command(Verb.CONTINUE, "fix it"),)
    assert parse("@axb fix it", bot="a.b") == ()


def test_a_comment_may_ask_several_things() -> None:
    text = "/oc cancel\n\n/oc code first\n> /oc status\n\n```\n/oc retry\n```\n@bot research second"
    assert parse(text, bot="bot") == (
        Command(Verb.CANCEL),
        Command(Verb.CODE, "first\n> /oc status\n\n```\n/oc retry\n```"),
        Command(Verb.RESEARCH, "second"),
    )


@pytest.mark.parametrize(
    ("text", "word", "nearest"),
    [
        ("/oc cdoe", "cdoe", Verb.CODE),
        ("/oc Reveiw!", "Reveiw", Verb.REVIEW),
        ("/oc\nhlep\n", "hlep", Verb.HELP),
        ("/oc statsu --", "", None),
        ("/oc --fresh recearch", "recearch", Verb.RESEARCH),
        ("/oc can\u200bcell", "cancell", Verb.CANCEL),
        ("/oc stop", "stop", Verb.CANCEL),
        ("/oc rerun", "rerun", Verb.RETRY),
    ],
)
def test_a_single_word_close_to_a_verb_is_asked_back(text: str, word: str, nearest: Verb | None) -> None:
    asked = (Misspelt(word, nearest),) if nearest else (Command(Verb.CONTINUE, "statsu --"),)
    assert parse(text, bot=None) == asked


@pytest.mark.parametrize("word", ["continue", "yes", "no", "go", "thanks", "start", "resume", "plan", "done", "@code"])
def test_other_single_words_are_instructions(word: str) -> None:
    assert parse(f"/oc {word}", bot=None) == (Command(Verb.CONTINUE, word),)


def test_a_misspelt_verb_with_more_words_is_an_instruction() -> None:
    assert parse("/oc cdoe it", bot=None) == (Command(Verb.CONTINUE, "cdoe it"),)


@pytest.mark.parametrize(
    ("text", "option", "reason"),
    [
        ("/oc --modle a/b", "--modle", "is not known; there are `--model`, `--priority` and `--fresh`"),
        ("/oc code --model", "--model", "written `provider/model`"),
        ("/oc --model gpt go", "--model", "written `provider/model`"),
        ("/oc --model --fresh", "--model", "written `provider/model`"),
        ("/oc --model=", "--model", "written `provider/model`"),
        ("/oc --priority urgent", "--priority", "needs one of high, normal, low"),
        ("/oc --fresh=no", "--fresh", "takes no value"),
        ("/oc --fresh --fresh", "--fresh", "is given twice"),
        (f"/oc --{'x' * 99}", f"--{'x' * 38}", "is not known"),
    ],
)
def test_an_option_that_cannot_be_followed_stops_the_command(text: str, option: str, reason: str) -> None:
    (asked,) = parse(text, bot=None)
    assert isinstance(asked, BadOption)
    assert asked.option == option
    assert reason in asked.reason


def test_instructions_go_on_beyond_what_is_read_for_commands() -> None:
    long = "word " * LIMIT
    assert parse(f"/oc code {long}end\n/oc cancel", bot=None) == (Command(Verb.CODE, f"{long}end\n/oc cancel"),)
    assert parse(f"{long}\n/oc cancel", bot=None) == ()


def test_a_huge_comment_is_read_at_once() -> None:
    assert len(parse("/oc code\n" + "\n" * 2_000_000 + "x", bot=None)) == 1
    assert len(parse("/oc " + "\u200b " * 1_000_000 + "code", bot=None)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "/oc code\n" + sign * (LIMIT // len(sign))
        for sign in [
            "[",
            "![",
            "](",
            "> ",
            "- ",
            "`",
            "*a",
            "*a_ ",
            "<a ",
            "a<![CDATA[",
            "|",
            "a|b\n",
            "x\n/oc\n",
            "~~a ",
        ]
    ],
    ids=lambda text: repr(text[9:20]),
)
def test_markdown_made_to_be_hard_is_read_whole(text: str) -> None:
    assert parse(text, bot=None)[0] is not None


def test_a_command_can_be_written_out() -> None:
    command = Command(Verb.CODE, "fix it", "acme/big", Priority.LOW, fresh=True)
    assert render(command) == "/kugetsu code --model acme/big --priority low --fresh fix it"
    assert render(Command(Verb.CONTINUE, "review the code")) == "/kugetsu\nreview the code"
    assert render(Command(Verb.CONTINUE)) == "/kugetsu"
    definition = "[ref]:\n/oc\n'title'"  # a link's definition is one only after a blank line
    assert render(Command(Verb.CODE, definition)) == f"/kugetsu code\n\n{definition}"


@pytest.mark.parametrize(
    "command",
    [
        Command(Verb.CODE, "one\n/oc cancel"),
        Command(Verb.CODE, "\nblank above"),
        Command(Verb.CONTINUE, "cdoe"),
        Command(Verb.CODE, model="no-slash"),
        *parse("- a list\n/oc code x\n\n     ```\n  /oc cancel\n     ```", bot=None),  # silent only in its list
    ],
)
def test_what_would_be_read_differently_is_not_written_out(command: Command) -> None:
    with pytest.raises(ValueError, match="cannot be part of a comment"):
        render(command)


@pytest.mark.parametrize("bot", [None, "kugetsu-bot"])
def test_the_help_explains_everything_and_asks_nothing(bot: str | None) -> None:
    shown = help_text(bot)
    assert parse(shown, bot=bot) == ()
    for verb in Verb:
        assert (f"| `{verb}` |" in shown) is (verb is not Verb.CONTINUE)
    for word in ("| none |", "`--model M`", "`--priority high|normal|low`", "`--fresh`", "`/oc`", "`/opencode`"):
        assert word in shown
    assert ("`@kugetsu-bot`" in shown) is (bot is not None)
