"""Broken set-ups on the side of Gitea, each of which the doctor must name first."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from models.checkup import Level
from models.side_tables import Hook
from tests.fakes.gitea.places import BOT_SCOPES
from tests.ports import free_port
from tests.unit.clinic import Clinic, cause_of, level_of
from tests.unit.hook_stage import BOT, REPO, staged
from webhook import checkup


@contextmanager
def speaking_tls(folder: Path) -> Iterator[int]:
    """A listener on loopback with a certificate that nobody vouches for; gives its port."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, today - timedelta(1), today + timedelta(1))
    text = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    text += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=greet)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


# Gitea


def test_no_gitea_is_set(clinic: Clinic) -> None:
    assert cause_of(clinic.examine(GITEA_URL="", GITEA_TOKEN="", WEBHOOK_SECRET="")).what == "no Gitea is set"


@pytest.mark.parametrize(("setting", "name"), [("GITEA_TOKEN", "a token"), ("WEBHOOK_SECRET", "a webhook secret")])
def test_a_setting_of_gitea_is_missing(clinic: Clinic, setting: str, name: str) -> None:
    cause = cause_of(clinic.examine(GITEA_TOKEN="") if setting == "GITEA_TOKEN" else clinic.examine(WEBHOOK_SECRET=""))
    assert (cause.check, cause.what, f"KUGETSU_{setting}=" in cause.cure) == ("settings", f"{name} is not set", True)


def test_nothing_listens_at_giteas_address(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(GITEA_URL=f"http://127.0.0.1:{free_port()}"))
    assert (cause.check, "nothing listens there" in cause.what) == ("gitea", True)


def test_giteas_name_is_wrong(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(GITEA_URL="http://gitea.invalid"))
    assert (cause.check, cause.cure) == ("gitea", "getent hosts gitea.invalid")


def test_giteas_certificate_is_its_own(clinic: Clinic, tmp_path: Path) -> None:
    with speaking_tls(tmp_path) as port:
        cause = cause_of(clinic.examine(GITEA_URL=f"https://127.0.0.1:{port}"))
    assert (cause.check, "its certificate does not hold" in cause.what) == ("gitea", True)


def test_what_answers_is_no_gitea(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(GITEA_URL=f"http://127.0.0.1:{clinic.stage.port}"))
    assert (cause.check, "no Gitea" in cause.what) == ("gitea", True)


def test_gitea_fails(clinic: Clinic) -> None:
    clinic.stage.gitea.fail("GET /api/v1/version", 502)
    assert "502" in cause_of(clinic.examine()).what


@pytest.mark.parametrize(("minutes", "which"), [(10, "600 seconds ahead of ours"), (-10, "600 seconds behind ours")])
def test_the_clocks_are_ten_minutes_apart(clinic: Clinic, minutes: int, which: str) -> None:
    theirs = datetime.now(UTC) + timedelta(minutes=minutes, seconds=0.5)
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state, "clock", lambda: theirs)
    cause = cause_of(clinic.examine())
    assert (cause.check, re.sub("(599|601)", "600", cause.what).endswith(which)) == ("clock", True)


def test_the_token_is_expired(clinic: Clinic) -> None:
    token = clinic.token_with(*BOT_SCOPES)
    clinic.stage.gitea.revoke(token)
    cause = cause_of(clinic.examine(GITEA_TOKEN=token))
    assert (cause.check, cause.cure) == ("token", f"{clinic.stage.gitea.url}/user/settings/applications")


@pytest.mark.parametrize("scope", BOT_SCOPES)
def test_the_token_lacks_a_scope(clinic: Clinic, scope: str) -> None:
    token = clinic.token_with(*(other for other in BOT_SCOPES if other != scope))
    cause = cause_of(clinic.examine(GITEA_TOKEN=token))
    assert (cause.check, cause.what) == ("scopes", f"the token lacks the scope {scope}")


def test_an_old_gitea_is_a_warning(tmp_path: Path, clinic: Clinic) -> None:
    with staged(tmp_path, version="1.21.0") as stage:
        found = clinic.examine(GITEA_URL=stage.gitea.url, GITEA_TOKEN=stage.token)
    assert level_of(found, "gitea") == Level.WARNING


# A repository


def test_the_repository_is_not_there(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine("acme/nowhere"))
    assert (cause.check, cause.what) == ("repository", "there is no acme/nowhere, or the bot may not see it")


def test_the_bot_has_no_part_in_any_repository(clinic: Clinic) -> None:
    clinic.stage.gitea.user("lonely")
    assert cause_of(clinic.examine(GITEA_TOKEN=clinic.stage.gitea.token_for("lonely"))).check == "repositories"


def test_the_repository_is_not_allowed(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(REPO, REPOS="other/*"))
    assert (cause.check, cause.cure) == ("allowed", f"KUGETSU_REPOS=other/*,{REPO}")


def test_the_repository_is_archived(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state.repo(REPO), "archived", True)
    assert cause_of(clinic.examine(REPO)).what == f"{REPO} is archived"


def test_issues_are_switched_off(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state.repo(REPO), "has_issues", False)
    assert cause_of(clinic.examine()).what == f"{REPO} has no issues"


@pytest.mark.parametrize("standing", ["write", "read"])
def test_the_bot_is_no_administrator(clinic: Clinic, standing: str) -> None:
    people = clinic.stage.gitea.forge.state.repo(REPO).collaborators
    clinic.monkeypatch.setitem(people, BOT, standing)
    cause = cause_of(clinic.examine())
    assert (cause.check, cause.what) == ("rights", f"the bot has {standing} access")
    assert cause.cure.endswith(f"/{REPO}/settings/collaboration")


def test_labels_are_missing(clinic: Clinic) -> None:
    repo = clinic.stage.gitea.forge.state.repo(REPO)
    clinic.monkeypatch.setattr(repo, "labels", repo.labels[1:])
    found = clinic.examine()
    assert (found.well, level_of(found, "labels")) == (True, Level.WARNING)


def test_the_repositorys_file_is_broken(clinic: Clinic) -> None:
    clinic.stage.gitea.push(REPO, "main", {".kugetsu.toml": "timeout = 'soon'\n"}, "ada")
    found = clinic.examine()
    clinic.stage.gitea.push(REPO, "main", {".kugetsu.toml": None}, "ada")
    assert (found.well, level_of(found, "file")) == (True, Level.WARNING)


# Its webhook


def test_there_is_no_webhook(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state.repo(REPO), "hooks", [])
    cause = cause_of(clinic.examine())
    assert (cause.check, "there is no webhook" in cause.what) == ("webhook", True)
    assert cause.cure == f"curl -X POST http://127.0.0.1:{clinic.stage.port}/admin/repos/{REPO}/webhook"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("url", "http://127.0.0.1:9/webhook", "the webhook goes to http://127.0.0.1:9/webhook and should go to"),
        ("active", False, "switched off"),
        ("events", ("issues", "push"), "does not tell of issue_comment, issue_label, pull_request"),
    ],
)
def test_the_webhook_is_not_right(clinic: Clinic, name: str, value: object, said: str) -> None:
    clinic.monkeypatch.setattr(clinic.stage.hooks()[0], name, value)
    cause = cause_of(clinic.examine())
    assert (cause.check, said in cause.what) == ("webhook", True)


def test_the_webhook_was_made_with_another_secret(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(WEBHOOK_SECRET="a-new-secret"))
    assert (cause.check, "no longer KUGETSU_WEBHOOK_SECRET" in cause.what) == ("webhook", True)


def test_the_secret_was_typed_wrong(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.hooks()[0], "secret", "typed wrong")
    cause = cause_of(clinic.examine())
    assert (cause.check, "does not match" in cause.what) == ("secret", True)


def test_gitea_may_not_call_our_address(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.webhooks, "allowed_hosts", "external")
    cause = cause_of(clinic.examine())
    assert cause.check == "allowed hosts"
    assert "under [webhook]: ALLOWED_HOST_LIST = external, loopback" in cause.cure


def test_too_many_webhooks_are_a_warning(clinic: Clinic) -> None:
    stage = clinic.stage
    clinic.monkeypatch.setattr(stage.gitea.forge.state.repo(REPO), "hooks", list(stage.hooks()))
    stage.gitea.hook(REPO, stage.address, "a-secret-of-the-webhook")
    found = clinic.examine()
    assert (found.well, level_of(found, "webhook")) == (True, Level.WARNING)


def test_a_webhook_of_the_organisation_is_enough(clinic: Clinic) -> None:
    stage, db = clinic.stage, clinic.service.site.database
    clinic.monkeypatch.setattr(stage.gitea.forge.state.repo(REPO), "hooks", [])
    stage.gitea.hook("acme", stage.address, "a-secret-of-the-webhook")
    mine = Hook.place == REPO
    clinic.rows(lambda: Hook.update(by="acme").where(mine).execute(db))
    issue = stage.gitea.open_issue(REPO, "ada", "Hello")
    found = clinic.examine()
    clinic.rows(lambda: Hook.update(by=None).where(mine).execute(db))
    stage.gitea.forge.state.org_hooks["acme"].clear()
    assert (found.well, issue.state) == (True, "open"), checkup.as_text(found)
