"""The page that Prometheus reads."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from models import ledger
from models.moves import Outcome, State
from models.side_tables import Tally
from tests.unit.test_tally import asked
from tests.unit.website import Website, running, settings_for

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(site: Website) -> Samples:
    """Every sample of the page by its name and labels."""
    answer = site.client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_an_idle_service(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        found = samples(site)
    assert found["kugetsu_jobs", (("server", "gitea"), ("state", "queued"))] == 0
    assert found["kugetsu_queue_oldest_age_seconds", (("server", "gitea"),)] == 0
    assert found["kugetsu_capacity_agents", ()] == 3
    assert found["kugetsu_paused", ()] == 0
    assert found["kugetsu_workers", ()] == 0
    assert found["kugetsu_writer_queue_deliveries", ()] == 0
    assert found["kugetsu_disk_free_bytes", ()] > 0


def test_what_waits_runs_and_has_ended(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), clock=lambda: 400.0) as site:
        with site.database.connection_context():
            first = asked(site.database, 1)
            claimed = ledger.claim_next(site.database, "w", now=103.0, lease=60)
            assert claimed is not None
            ledger.settle(site.database, claimed, Outcome.FAILED, now=133.0, reason="no", cost=0.5)
            ledger.move(site.database, first, State.REPORTING, State.DONE, at=134.0, reason="told")
            asked(site.database, 2)
        found = samples(site)
    of = (("recipe", "code"), ("repo", "acme/widgets"), ("server", "gitea"))
    assert found["kugetsu_jobs", (("server", "gitea"), ("state", "queued"))] == 1
    assert found["kugetsu_queue_oldest_age_seconds", (("server", "gitea"),)] == 300
    assert found["kugetsu_jobs_ended_total", (("outcome", "failed"), *of)] == 1
    assert found["kugetsu_agent_cost_usd_total", of] == 0.5
    buckets = {
        le: found["kugetsu_job_run_seconds_bucket", (("le", le), ("recipe", "code"), ("server", "gitea"))]
        for le in ("15", "30", "+Inf")
    }
    assert buckets == {"15": 0, "30": 1, "+Inf": 1}
    assert found["kugetsu_job_run_seconds_count", (("recipe", "code"), ("server", "gitea"))] == 1
    assert found["kugetsu_job_run_seconds_sum", (("recipe", "code"), ("server", "gitea"))] == 30
    of_deliveries = (("server", "gitea"), ("source", "webhook"), ("verdict", "accepted"))
    assert found["kugetsu_deliveries_total", of_deliveries] == 2


def test_what_was_refused_is_counted(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        site.deliver(b"{}", key="a wrong one")
        assert samples(site)["kugetsu_deliveries_refused_total", (("server", "gitea"), ("status", "401"))] == 1


def test_figures_from_before_they_knew_their_server_are_still_told(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        with site.database.connection_context():
            row = {"name": "kugetsu_job_run_seconds_sum", "labels": '{"recipe":"code"}', "value": 7.0}
            Tally.insert(**row).execute(site.database)
        found = samples(site)
    assert found["kugetsu_job_run_seconds_sum", (("recipe", "code"), ("server", ""))] == 7


def test_openmetrics_for_who_asks_for_it(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        answer = site.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(("sent", "status"), [("", 401), ("Bearer wrong", 401), ("Bearer of-the-admin", 200)])
def test_with_an_admin_token_it_must_be_sent(tmp_path: Path, sent: str, status: int) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN="of-the-admin")) as site:
        assert site.client.get("/metrics", headers={"Authorization": sent} if sent else {}).status_code == status
