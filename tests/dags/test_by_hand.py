"""backfill and upkeep, run for real against the replay server and a warehouse on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.core import disk
from include.landing.store import Store
from include.orchestration.home import airflow_home, environment
from include.replay import session
from include.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]


def _run(settings: Settings, *wanted: tuple[str, dict]) -> list[dict]:
    disk.make_dir(airflow_home(settings))
    read, write = os.pipe()
    done = subprocess.run([sys.executable, "-m", "tests.dags.once", str(write), json.dumps(wanted)], cwd=ROOT,
                          env=environment(settings), pass_fds=[write], capture_output=True, text=True)  # fmt: skip
    os.close(write)
    assert done.returncode == 0, done.stderr[-3000:]
    with os.fdopen(read) as answer:
        return json.load(answer)


def test_backfill_by_month_and_upkeep_that_finds_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a November to a third of January is three windows; another source's feed is refused; a changed byte is found."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    window = {"start": "2025-11-15", "end": "2026-01-10"}
    with session(load, live=False) as settings:
        good, wrong, kept = _run(
            settings,
            ("backfill", {"source": "nyfed", "feed": "effr"} | window),
            ("backfill", {"source": "nyfed", "feed": "par_curve"} | window),
            ("upkeep", {}),
        )
        assert good["state"] == "success"
        assert good["tasks"] == [["announce", -1, "success"], *(["land", n, "success"] for n in range(3)),
                                 ["months", -1, "success"]]  # fmt: skip
        attempts = Store(tmp_path).attempts("nyfed", "effr")
        assert sorted((a.window_start, a.window_end) for a in attempts) == [
            ("2025-11-15", "2025-12-01"), ("2025-12-01", "2026-01-01"), ("2026-01-01", "2026-01-10"),
        ]  # fmt: skip
        assert {a.outcome for a in attempts} == {"LANDED"}

        assert wrong["state"] == "failed" and ["months", -1, "failed"] in wrong["tasks"]
        assert len(Store(tmp_path).attempts("nyfed", "effr")) == 3

        assert kept["state"] == "success"
        landed = next(p for p in (tmp_path / "landing" / "raw").rglob("*") if p.is_file())
        landed.chmod(0o644)
        landed.write_bytes(landed.read_bytes() + b" ")
        (damaged,) = _run(settings, ("upkeep", {}))
    assert damaged["tasks"] == [["source_health", -1, "success"], ["stored_files", -1, "failed"]]
