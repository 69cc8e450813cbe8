"""What `.kugetsu.toml` may say, what is said of one that is wrong, and which version counts."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import repofile
from jobs.gitea import GiteaDown
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forge, Forges
from jobs.wiring import Wiring
from models import opening
from models.repofile import MAX_BYTES, OwnRecipe, RepoFile, RepoFileWrong, parse
from models.settings import load
from models.tables import Repo
from tests.fakes.gitea import FakeGitea

EVERY_KEY = """
model = "anthropic/claude-sonnet-4"
setup = "npm ci"
verify = '''
make lint
make test
'''
timeout = "90m"
forbidden = ["infra/**", "*.lock"]
allow_workflow_changes = true
allow_users = ["Ada", "@bob"]

[recipes.changelog]
base = "research"
instructions = "Write the changelog."
model = "openai/gpt-5"

[recipes.docs]
instructions = "Mend the documentation."
"""


def test_every_key_is_read() -> None:
    assert parse(EVERY_KEY) == RepoFile(
        model="anthropic/claude-sonnet-4",
        setup="npm ci",
        verify="make lint\nmake test",
        timeout=timedelta(minutes=90),
        forbidden=("infra/**", "*.lock"),
        allow_workflow_changes=True,
        allow_users=frozenset({"ada", "bob"}),
        recipes={
            "changelog": OwnRecipe(base="research", instructions="Write the changelog.", model="openai/gpt-5"),
            "docs": OwnRecipe(base="code", instructions="Mend the documentation."),
        },
    )


def test_an_empty_file_says_nothing() -> None:
    assert parse("") == RepoFile()


WRONG = {
    'verfy = "make"': "`verfy` is not a key; the nearest one is `verify`",
    '[recipes.docs]\ninstruction = "x"': "`instruction` in [recipes.docs] is not a key; the nearest one is "
    "`instructions`",
    '[recipes.docs]\nbase = "code"': "`recipes.docs.instructions` is missing; right would be what the agent is to do",
    '[recipes.docs]\nbase = "fix"\ninstructions = "x"': "`recipes.docs.base` is wrong; right would be code, research",
    '[recipes.review]\ninstructions = "x"': "`review` cannot be the name of a recipe, since it means something",
    '[recipes."a b"]\ninstructions = "x"': "`a b` cannot be the name of a recipe; right would be up to 30",
    '[recipes.""]\ninstructions = "x"': "cannot be the name of a recipe; right would be up to 30",
    "recipes = 3": "`recipes` is wrong; right would be tables [recipes.NAME]",
    "recipes.docs = 3": "`recipes` is wrong; right would be tables [recipes.NAME]",
    "verify = 3": "`verify` is wrong; right would be a shell command, such as",
    'verify = ""': "`verify` is wrong",
    'verify = "a\\u0000b"': "`verify` is wrong",
    'timeout = "soon"': "`timeout` is wrong; right would be a duration like 90s",
    "timeout = 90": "`timeout` is wrong",
    'forbidden = "infra/**"': "`forbidden` is wrong; right would be a list of paths or globs",
    "forbidden = [3]": "`forbidden` is wrong",
    'allow_workflow_changes = "yes"': "`allow_workflow_changes` is wrong; right would be true or false",
    'allow_users = ["a b"]': "`allow_users` is wrong; right would be a list of logins",
    'model = "--danger"': "`model` is wrong; right would be provider/model",
    "model = ": "it is not TOML: ",
    "x" * (MAX_BYTES + 1): "it is longer than",
    '"a\\nb`@ada" = 3': "`a b'@ada` is not a key",
    f"a = {'[' * 5_000}": "it is not TOML: ",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=[said[:40] for said in WRONG.values()])
def test_what_is_wrong_is_named_with_what_would_be_right(text: str, said: str) -> None:
    with pytest.raises(RepoFileWrong) as caught:
        parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from(["", 'verify = "x"\n', "[recipes.docs]\n"]))
def test_no_text_does_anything_else_than_be_refused(text: str, before: str) -> None:
    with suppress(RepoFileWrong):
        parse(before + text)


class Reading:
    """A repository on a Gitea, and a worker that reads its file."""

    def __init__(self, gitea: FakeGitea, home: Path) -> None:
        self.gitea = gitea
        gitea.user("kugetsu")
        gitea.repo("acme/widgets", files={"README.md": "#\n"}, collaborators={"ada": "write", "kugetsu": "admin"})
        environ = {
            "KUGETSU_HOME": str(home),
            "KUGETSU_GITEA_URL": gitea.url,
            "KUGETSU_GITEA_TOKEN": gitea.token_for("kugetsu"),
        }
        settings = load(environ)
        db = opening.open_database(home / "kugetsu.db")
        opening.migrate(db, home / "migrate.lock", capacity=1)
        forges = Forges(settings.servers, db)
        self.wiring = Wiring(
            settings=settings,
            db=db,
            bells=Bells(home / "queue.db"),
            forges=forges,
            redactor=Redactor([]),
            worker="w",
            clock=time.time,
        )
        number = Repo.insert(server="gitea", name="acme/widgets").execute(db)
        self.repo: Repo = Repo.select().where(Repo.id == number).get(db)

    @property
    def forge(self) -> Forge:
        return self.wiring.forges["gitea"]

    def push(self, text: str | None, branch: str = "main") -> None:
        self.gitea.push("acme/widgets", branch, {repofile.PATH: text}, by="ada")

    def current(self) -> RepoFile:
        return repofile.current(self.wiring, self.forge, self.repo)

    def close(self) -> None:
        self.wiring.forges.close()
        self.wiring.bells.close()
        self.wiring.db.close()


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    with FakeGitea(tmp_path / "gitea") as gitea:
        made = Reading(gitea, tmp_path)
        yield made
        made.close()


def test_a_repository_without_the_file_says_nothing(reading: Reading) -> None:
    assert reading.current() == RepoFile()
    assert repofile.trouble(reading.wiring, reading.repo) is None


def test_the_default_branch_counts_and_no_other(reading: Reading) -> None:
    reading.push('verify = "make evil"', branch="kugetsu/issue-1")
    assert reading.current() == RepoFile()
    reading.push('verify = "make test"')
    assert reading.current().verify == "make test"


def test_a_broken_file_leaves_the_last_good_one_in_force(reading: Reading) -> None:
    reading.push('verify = "make test"')
    reading.current()
    reading.push('verfy = "make"')
    assert reading.current().verify == "make test"
    first = repofile.trouble(reading.wiring, reading.repo)
    assert first is not None
    assert "nearest one is `verify`" in first.problem
    reading.push("verify = 3")
    reading.current()
    second = repofile.trouble(reading.wiring, reading.repo)
    assert second is not None
    assert second.version != first.version
    reading.push('verify = "make check"')
    assert reading.current().verify == "make check"
    assert repofile.trouble(reading.wiring, reading.repo) is None


def test_a_file_that_was_taken_away_says_nothing_any_more(reading: Reading) -> None:
    reading.push('verify = "make test"')
    reading.current()
    reading.push(None)
    assert reading.current() == RepoFile()


def test_without_gitea_the_last_good_one_is_still_known(reading: Reading) -> None:
    reading.push('verify = "make test"')
    reading.current()
    reading.gitea.down()
    with pytest.raises(GiteaDown):
        reading.current()
    assert repofile.kept(reading.wiring, reading.repo).verify == "make test"
