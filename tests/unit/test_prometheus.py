"""The alert rules and the dashboard in deploy/: Prometheus takes them, and they ask only for what there is."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.website import running, settings_for

ROOT = Path(__file__).parents[2]
PROMTOOL = ROOT / ".venv/bin/promtool"
RULES = ROOT / "deploy/prometheus/kugetsu.rules.yml"
DASHBOARD = ROOT / "deploy/grafana/kugetsu.json"
TRIALS = ROOT / "tests/data/alerts.yml"


def promtool(*words: str) -> str:
    ended = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all series that the service can give."""
    with running(settings_for(tmp_path_factory.mktemp("home"))) as site:
        families = list(text_string_to_metric_families(site.client.get("/metrics").text))
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{family.name}{ending}" for family in families for ending in endings.get(family.type, ("",))}


def asked_for(text: str) -> set[str]:
    return set(re.findall(r"\bkugetsu_\w+", text))


def expressions() -> Iterator[str]:
    """Those of the dashboard's panels, with its variable filled in."""
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    for panel in panels:
        for target in panel["targets"]:
            yield target["expr"].replace("$instance", ".*")


def test_the_rules_are_taken() -> None:
    assert "SUCCESS: 10 rules found" in promtool("check", "rules", str(RULES))


def test_each_alert_is_raised_when_it_should_and_else_not(tmp_path: Path) -> None:
    trials = TRIALS.read_text().replace("RULES", str(RULES))
    names = re.findall(r"alert: (\w+)", RULES.read_text())
    raised = "\n".join(f"      - {{eval_time: 3h, alertname: {name}, exp_alerts: [{found(name)}]}}" for name in names)
    (tmp_path / "trials.yml").write_text(
        trials.replace("    alert_rule_test: []\n", f"    alert_rule_test:\n{raised}\n")
    )
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "trials.yml"))


def found(name: str) -> str:
    """What `promtool` is to expect of the alert where everything is wrong: its labels and its words."""
    block = RULES.read_text().split(f"alert: {name}\n", 1)[1].split("- alert:", 1)[0]
    severity = re.search(r"severity: (\w+)", block)
    summary = re.search(r"summary: \"?(.*?)\"?\n", block)
    description = re.search(r"description: (.*)\n", block)
    assert severity is not None
    assert summary is not None
    assert description is not None
    said = summary[1].replace("{{ $labels.server }}", "gitea")
    labels = {**LABELS[name], "severity": severity[1]}
    about = {"summary": said, "description": description[1]}
    return json.dumps({"exp_labels": labels, "exp_annotations": about})


LABELS = {
    "KugetsuDown": {"job": "kugetsu", "instance": "a"},
    "KugetsuNoWorker": {"instance": "a"},
    "KugetsuServerUnusable": {"instance": "a", "server": "gitea"},
    "KugetsuCannotStore": {"instance": "a", "status": "503"},
    "KugetsuDiskLow": {"instance": "a"},
    "KugetsuQueueStuck": {"instance": "a"},
    "KugetsuPausedWithWork": {"instance": "b"},
    "KugetsuJobsFail": {"instance": "a"},
    "KugetsuWebhooksLost": {"instance": "a", "server": "gitea"},
    "KugetsuDeliveriesRefused": {"instance": "a", "status": "401"},
}


def test_the_rules_ask_for_what_there_is(exposed: set[str]) -> None:
    assert asked_for(RULES.read_text()) - {"kugetsu_rules"} <= exposed


def test_the_dashboard_asks_for_what_there_is_and_shows_all_of_it(exposed: set[str]) -> None:
    asked = asked_for("\n".join(expressions()))
    assert asked <= exposed
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert families - shown <= {"kugetsu_build_info", "kugetsu_paused"}


def test_the_dashboard_s_expressions_are_understood(tmp_path: Path) -> None:
    records = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions())]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": records}]}))
    assert f"SUCCESS: {len(records)} rules found" in promtool("check", "rules", str(tmp_path / "panels.yml"))
