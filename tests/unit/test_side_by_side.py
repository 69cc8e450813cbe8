"""Settings for several servers: what is of one of them is not of another."""

from pathlib import Path

import pytest

from models.settings import Settings, SettingsError, load

OTHER = '[servers.codeberg]\nurl = "https://codeberg.example.com"\ntoken = "t2"\nwebhook_secret = "s2"\n'


def loaded(home: Path, toml: str, **environment: str) -> Settings:
    (home / "kugetsu.toml").write_text(toml)
    given = {"HOME": str(home), "GITEA_URL": "https://gitea.example.com", "WEBHOOK_SECRET": "s1", **environment}
    return load({f"KUGETSU_{name}": value for name, value in given.items() if value})


def test_who_may_ask_on_the_default_server_is_nobody_on_another(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'{OTHER}allow_users = ["Carol"]', ALLOW_USERS="ann")
    assert settings.named_on("gitea") == {"ann"}
    assert settings.named_on("codeberg") == {"carol"}
    assert settings.named_on("one that is gone") == frozenset()


def test_repositories_are_those_of_all_servers_unless_one_has_its_own(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'{OTHER}[servers.third]\nrepos = ["acme/*", "!acme/secret"]', REPOS="work/*")
    assert [settings.allows(server, "acme/widgets") for server in ("gitea", "codeberg", "third")] == [
        False,
        False,
        True,
    ]
    assert [settings.allows(server, "work/widgets") for server in ("gitea", "codeberg", "third")] == [True, True, False]
    assert not settings.allows("third", "acme/secret")


@pytest.mark.parametrize(
    ("toml", "environment", "said"),
    [
        (
            OTHER.replace("s2", "s0, s1"),
            {},
            "servers.codeberg and servers.gitea have the same webhook_secret; right would be one of its own",
        ),
        (
            OTHER.replace("codeberg.example", "gitea.example"),
            {},
            "servers.codeberg and servers.gitea have the same url, so all would be done twice",
        ),
        (
            OTHER,
            {"GITEA_URL": "", "WEBHOOK_SECRET": "", "ALLOW_USERS": "ann"},
            "KUGETSU_ALLOW_USERS names people of the server “gitea” (KUGETSU_GITEA_URL), which is not set up",
        ),
        (
            f'{OTHER}[notices.x]\nto = "json://x"\nservers = ["gitea", "codebreg"]',
            {},
            "notices.x.servers names 'codebreg', which is not set up; right would be some of codeberg, gitea",
        ),
        (f'{OTHER}repos = ["acme"]', {}, "servers.codeberg.repos"),
        (f'{OTHER}allow_users = ["a b"]', {}, "servers.codeberg.allow_users"),
    ],
)
def test_what_would_mix_them_up_is_refused(tmp_path: Path, toml: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, toml, **environment)
    assert said in str(caught.value)
