"""Every place in which a secret of the service may stand."""

from pathlib import Path

from jobs.known_secrets import secrets_of
from models.settings import load

CONFIG = """{
  // the administrator's
  "provider": {
    "acme": { "options": { "apiKey": "key-of-acme-\\u00e9", "headers": { "Authorization": "Bearer header-of-acme" } } },
    "other": { "options": { "apiKey": "{env:OTHER_KEY}", "baseURL": "https://llm.example.test" } }
  },
  "max_tokens": "many", "token": "short"
}"""


def test_all_of_them_are_known(tmp_path: Path) -> None:
    (tmp_path / "opencode.json").write_text(CONFIG)
    settings = load(
        {
            "KUGETSU_HOME": str(tmp_path),
            "KUGETSU_GITEA_URL": "https://git.example.test",
            "KUGETSU_GITEA_TOKEN": "token-of-gitea",
            "KUGETSU_WEBHOOK_SECRET": "first-secret,second-secret",
            "KUGETSU_ADMIN_TOKEN": "token-of-admins",
            "KUGETSU_AGENT_ENV": "OTHER_KEY,FLAG",
            "KUGETSU_NOTIFY": "tgram://123456789:ABCdefGHI/4711",
        }
    )
    found = secrets_of(settings, {"OTHER_KEY": "key-of-other", "FLAG": "1", "UNNAMED": "not-handed-over"})
    assert set(found) == {
        *("token-of-gitea", "first-secret", "second-secret", "token-of-admins", "key-of-other"),
        *("key-of-acme-é", "header-of-acme", "tgram://123456789:ABCdefGHI/4711", "123456789:ABCdefGHI"),
    }


def test_a_database_s_password_is_one(tmp_path: Path) -> None:
    url = "postgresql://kugetsu:p%40ssw0rd@db.example.test/kugetsu"
    settings = load({"KUGETSU_HOME": str(tmp_path), "KUGETSU_DATABASE_URL": url})
    assert set(secrets_of(settings)) == {"p%40ssw0rd", "p@ssw0rd"}
