"""Writing into kugetsu.toml: whole or not at all, for its owner alone, and never over what somebody wrote."""

import os
from pathlib import Path

import pytest

from models import settings_file
from models.reading import SettingsError
from models.settings import load

VALUES = {"gitea_url": "https://git.example.com", "repos": ["acme/*", "!acme/secret"], "gitea_token": "a-token"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"KUGETSU_HOME": str(tmp_path)}


def add(environ: dict[str, str], **values: settings_file.Value) -> Path:
    return settings_file.add(environ, values or VALUES, heading="By a test")


def refusal(environ: dict[str, str], **values: settings_file.Value) -> str:
    """Why it was refused; nothing may be left beside the file."""
    before = sorted(Path(environ["KUGETSU_HOME"]).iterdir())
    with pytest.raises(SettingsError) as refused:
        add(environ, **values)
    assert sorted(Path(environ["KUGETSU_HOME"]).iterdir()) == before
    return str(refused.value)


def test_what_is_written_is_read_again_and_nobody_else_may(environ: dict[str, str], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = add(environ)
    finally:
        os.umask(before)
    assert file == tmp_path / "kugetsu.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["kugetsu.toml"]
    read = load(environ)
    assert (read.gitea_url, read.repos) == (VALUES["gitea_url"], ("acme/*", "!acme/secret"))
    assert read.servers["gitea"].token is not None


def test_what_somebody_wrote_stays_as_it_is_below(environ: dict[str, str], tmp_path: Path) -> None:
    mine = "# my own words\nverbosity = 'quiet'\n\n[servers.other]\nurl = 'https://other.example.com'\n"
    (tmp_path / "kugetsu.toml").write_text(mine)
    file = add(environ)
    assert file.read_text().endswith(f"\n\n{mine}")
    assert file.stat().st_mode & 0o777 == 0o600
    read = load(environ)
    assert (read.verbosity, read.gitea_url) == ("quiet", VALUES["gitea_url"])
    assert read.servers["other"].url == "https://other.example.com"


def test_a_key_that_somebody_wrote_is_never_written_over(environ: dict[str, str], tmp_path: Path) -> None:
    mine = "gitea_token = 'my-own'\n"
    (tmp_path / "kugetsu.toml").write_text(mine)
    assert "has gitea_token already" in refusal(environ)
    assert (tmp_path / "kugetsu.toml").read_text() == mine


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_through_a_link(environ: dict[str, str], tmp_path: Path, there: bool) -> None:
    """Somebody else's file would get our tokens, or lose what it says."""
    aim = tmp_path / "aim"
    if there:
        aim.write_text("")
    (tmp_path / "kugetsu.toml").symlink_to(aim)
    assert "is a link" in refusal(environ)
    assert (tmp_path / "kugetsu.toml").is_symlink()
    assert not there or aim.read_text() == ""


def test_what_is_no_plain_file_is_left_alone(environ: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kugetsu.toml")
    assert "not a plain file" in refusal(environ)


def test_a_file_that_came_to_be_meanwhile_stays(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kugetsu.toml"

    def meanwhile(*_: object) -> None:
        file.write_text("verbosity = 'quiet'\n")

    monkeypatch.setattr(settings_file, "_check", meanwhile)
    with pytest.raises(SettingsError, match="has come to be meanwhile"):
        add(environ)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["verbosity = 'quiet'\n"]


def test_a_file_that_was_changed_meanwhile_stays(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kugetsu.toml"
    file.write_text("verbosity = 'quiet'\n")
    monkeypatch.setattr(settings_file, "_check", lambda *_: file.write_text("verbosity = 'verbose'\n"))
    with pytest.raises(SettingsError, match="has been changed meanwhile"):
        add(environ)
    assert file.read_text() == "verbosity = 'verbose'\n"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gitea_url": "file:///etc/passwd"}, "gitea_url"),
        ({"gitea_url": "http://user:pw@git.example.com"}, "gitea_url"),
        ({"gitea_token": "two words"}, "gitea_token"),
        ({"repos": ["no-slash"]}, "repos"),
        ({"public_url": "here"}, "public_url"),
        ({"publik_url": "https://x.example.com"}, "the nearest one is public_url"),
    ],
)
def test_a_wrong_value_is_named_and_not_written(
    environ: dict[str, str], tmp_path: Path, values: dict[str, settings_file.Value], words: str
) -> None:
    said = refusal(environ, **values)
    assert words in said
    assert str(tmp_path / "kugetsu.toml") in said
    assert "pw" not in said.replace("passwd", "")
    assert list(tmp_path.iterdir()) == []


def test_letters_of_all_kinds_come_back_as_they_were(environ: dict[str, str]) -> None:
    add(environ, agent_command='/opt/"ägent"\\ \N{OWL}')
    assert load(environ).agent_command == '/opt/"ägent"\\ \N{OWL}'


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        settings_file.add({"KUGETSU_HOME": "/proc"}, VALUES, heading="By a test")
