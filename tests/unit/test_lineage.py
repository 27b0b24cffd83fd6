"""OpenLineage events of a publish: what the specification requires of a run event, and that they change nothing else."""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from include.core.errors import ConfigError
from include.settings import load
from include.warehouse import lineage
from include.warehouse.publish import Publication

AT = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
ASKED = [("https://markets.newyorkfed.org", "effr"), ("https://home.treasury.gov", "par_curve")]


def made(**changed: str) -> list[dict]:
    """The events of one publish."""
    run = Publication(3, changed.get("run_id", "run-1"), AT, None, {"dim_unit": "ab" * 32, "dim_fund": "cd" * 32}, {}, {},
                      Path())  # fmt: skip
    return lineage.events(run, ASKED)


def test_each_run_starts_and_completes_once_with_what_the_specification_requires() -> None:
    """eventTime, producer, run.runId and job; every dataset has a namespace and a name, every facet its two fields."""
    start, complete = made()
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    for event in (start, complete):
        assert datetime.fromisoformat(event["eventTime"]) == AT
        assert UUID(event["run"]["runId"]).version == 5
        assert event["job"] == {"namespace": "capital-migration", "name": "publish"}
        assert all(urlsplit(event[key]).scheme == "https" for key in ("producer", "schemaURL"))
        assert [(d["namespace"], d["name"]) for d in event["inputs"]] == ASKED
    assert start["run"] == complete["run"] != made(run_id="run-2")[0]["run"]
    assert [d["name"] for d in complete["outputs"]] == ["marts.dim_fund", "marts.dim_unit"]
    for facet in (f for d in complete["outputs"] for f in d["facets"].values()):
        assert {"_producer", "_schemaURL", "datasetVersion"} == facet.keys()


def test_events_are_written_once_and_a_disk_that_refuses_is_no_failure(tmp_path: Path) -> None:
    """A publish that is cleared adds nothing; where a directory stands, nothing is raised."""
    file = tmp_path / "deep" / "lineage.jsonl"
    for run_id in ("run-1", "run-1", "run-2"):
        lineage.write(file, made(run_id=run_id))
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [e["eventType"] for e in kept] == ["START", "COMPLETE"] * 2
    (tmp_path / "taken").mkdir()
    lineage.write(tmp_path / "taken", made())
    assert list((tmp_path / "taken").iterdir()) == []


def test_it_is_off_unless_a_transport_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, or what needs a provider that is not installed, or nonsense: the last two are refused at start."""
    assert load().lineage_file is None
    monkeypatch.setenv("CAPMIG_OPENLINEAGE", json.dumps({"type": "file", "log_file_path": str(tmp_path / "x")}))
    assert load().lineage_file == tmp_path / "x"
    for wrong in ("yes", "[]", "{}", '{"type": "file"}', '{"type": "http", "url": "https://example.org"}'):
        monkeypatch.setenv("CAPMIG_OPENLINEAGE", wrong)
        with pytest.raises(ConfigError, match="CAPMIG_OPENLINEAGE") as refused:
            load()
        assert "[config.openlineage]" in str(refused.value) and "example.org" not in str(refused.value)
