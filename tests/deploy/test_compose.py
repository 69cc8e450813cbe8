"""The compose file: it hangs together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_image import COPIED_TO

DEPLOY = Path(__file__).parents[2] / "deploy"

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    found: dict[str, Service] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def test_each_starts_when_what_it_needs_is_there(services: dict[str, Service]) -> None:
    assert "healthcheck" in services["gitea"]
    assert services["gitea-init"]["depends_on"] == {"gitea": {"condition": "service_healthy"}}
    assert services["kugetsu"]["depends_on"] == {"gitea-init": {"condition": "service_completed_successfully"}}


def test_what_is_mounted_is_there_or_declared(services: dict[str, Service]) -> None:
    declared = set(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["volumes"])
    for service in services.values():
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in declared
    build = services["kugetsu"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_the_settings_are_written_where_they_are_read(services: dict[str, Service]) -> None:
    written = Path(services["gitea-init"]["environment"]["SETTINGS"])
    read = Path(services["kugetsu"]["environment"]["KUGETSU_CONFIG"])
    assert f"handover:{written.parent}" in services["gitea-init"]["volumes"]
    assert f"handover:{read.parent}:ro" in services["kugetsu"]["volumes"]
    assert written.name == read.name


def test_localhost_is_one_place_for_both_and_for_the_browser(services: dict[str, Service]) -> None:
    assert {services[name]["network_mode"] for name in ("gitea-init", "kugetsu")} == {"service:gitea"}
    assert [port.split(":")[:2] for port in services["gitea"]["ports"]] == [
        ["127.0.0.1", "3000"],
        ["127.0.0.1", "8420"],
    ]
    assert services["gitea"]["environment"]["GITEA__webhook__ALLOWED_HOST_LIST"].split(",")[-1] == "loopback"


def test_agents_have_their_sandbox_or_nothing_starts(services: dict[str, Service]) -> None:
    kugetsu = services["kugetsu"]
    assert kugetsu["environment"]["KUGETSU_SANDBOX"] == "bwrap"
    assert {"no-new-privileges:true", "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"} == set(
        kugetsu["security_opt"]
    )
    assert kugetsu["cap_drop"] == ["ALL"]


def test_the_data_outlives_the_container(services: dict[str, Service]) -> None:
    assert f"kugetsu-data:{COPIED_TO['KUGETSU_HOME']}" in services["kugetsu"]["volumes"]
