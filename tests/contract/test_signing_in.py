"""Signing in with Gitea: what we believe of its OAuth2 provider, on the fake and on a real one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.fakes.gitea import FakeGitea
from tests.forge_protocol import AnyGitea
from tests.real.gitea import RealGitea
from webhook.oauth import CALLBACK, NotSignedIn, SignInServer

CALLBACK_URL = f"http://127.0.0.1:1{CALLBACK}"


@dataclass(frozen=True)
class Provider:
    """A Gitea with an application of ours; `consent` is a person who says yes on its page."""

    server: SignInServer
    consent: Callable[[str, str], str]


@pytest.fixture
def provider(forge: AnyGitea) -> Provider:
    """Ada may write, rita may read, carol writes through a team with rights by unit, root runs the site."""
    forge.user("root", is_admin=True)
    forge.org("acme-org")
    forge.repo("acme-org/tools", private=True, collaborators={"carol": "team-write"})
    if isinstance(forge, FakeGitea):
        app = forge.oauth.register("Kugetsu", CALLBACK_URL)
        return Provider(SignInServer(forge.url, app.id, app.secret, CALLBACK_URL), _by_form)
    assert isinstance(forge, RealGitea)
    asked = {"name": "Kugetsu", "redirect_uris": [CALLBACK_URL], "confidential_client": True}
    made = forge.admin.api("POST", "/user/applications/oauth2", asked)
    server = SignInServer(forge.url, made["client_id"], made["client_secret"], CALLBACK_URL)
    return Provider(server, lambda address, login: forge.server.seat(login).consent(address))


def _by_form(address: str, login: str) -> str:
    """Press a person's button on the fake's page."""
    parts = urlsplit(address)
    fields = {**dict(parse_qsl(parts.query)), "as": login}
    answer = httpx.post(f"{parts.scheme}://{parts.netloc}/login/oauth/grant", data=fields, trust_env=False)
    return answer.headers["location"]


def test_gitea_says_who_it_is_and_where_they_may_write(provider: Provider) -> None:
    found = {}
    for login in ("ada", "rita", "carol", "root"):
        begun = provider.server.begin()
        person = provider.server.finish(provider.consent(begun.address, login), begun.state, begun.verifier)
        found[person.login] = (person.is_admin, set(person.repos))
    assert found == {
        "ada": (False, {"acme/widgets"}),
        "rita": (False, set()),
        "carol": (False, {"acme-org/tools"}),
        "root": (True, set()),
    }


def test_a_code_is_good_once_with_its_verifier_and_its_secret(provider: Provider) -> None:
    begun = provider.server.begin()
    back = provider.consent(begun.address, "ada")
    with pytest.raises(NotSignedIn, match="PKCE"):
        provider.server.finish(back, begun.state, "A" * 64)
    with pytest.raises(NotSignedIn, match="invalid client secret"):
        replace(provider.server, secret="wrong").finish(back, begun.state, begun.verifier)
    with pytest.raises(NotSignedIn, match="cannot load client"):
        replace(provider.server, client_id="11111111-2222-3333-4444-555555555555").finish(
            back, begun.state, begun.verifier
        )
    with pytest.raises(NotSignedIn, match="not one to the question"):
        provider.server.finish(back, "another state", begun.verifier)
    assert provider.server.finish(back, begun.state, begun.verifier).login == "ada"
    with pytest.raises(NotSignedIn):
        provider.server.finish(back, begun.state, begun.verifier)
