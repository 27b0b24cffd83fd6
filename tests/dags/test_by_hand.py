"""upkeep, run for real on a warehouse on disk."""

from pathlib import Path

import pytest

from include import pipeline
from include.replay import session
from include.settings import load
from tests.dags.run import once


def test_upkeep_finds_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound warehouse passes; one changed byte of what landed fails it."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    with session(load, live=False) as settings:
        pipeline.land(settings, "nyfed", "effr", run_id="run1")
        (kept,) = once(settings, ("upkeep", {}))
        assert kept["state"] == "success"
        landed = next(p for p in (tmp_path / "landing" / "raw").rglob("*") if p.is_file())
        landed.chmod(0o644)
        landed.write_bytes(landed.read_bytes() + b" ")
        (damaged,) = once(settings, ("upkeep", {}))
    assert damaged["tasks"] == [["source_health", -1, "success"], ["stored_files", -1, "failed"]]
