"""Rows 22, 25, 46, 51, 67: the whole way from bytes to a served answer, with real processes on the pack's warehouse."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import pytest

from include import pipeline, settings
from include.core.clock import iso
from include.replay import PACK_CLOCK, session
from include.replay.farside import _btc
from include.replay.farside import page as farside_page
from include.warehouse import publish
from tests.conftest import capmig

LATER = "2026-02-02T12:00:00Z"
AS_OF = "2026-01-23T05:07:00Z"
DAY_OF_REVISION = "2025-12-15"


@pytest.fixture
def home(pack_home: Path, tmp_path: Path) -> Path:
    """A warehouse of one's own: the served version, what landed, and the pack's clock."""
    copy = tmp_path / "home"
    shutil.copytree(pack_home, copy, ignore=shutil.ignore_patterns("run-*", "asof", "dbt", "airflow"))
    return copy


def flow(home: Path, day: str, *args: str, **env: str) -> str:
    """One session's BTC flow and status as printed."""
    done = capmig(home, "sql", "select net_flow_usd, obs_status, n_funds_reported from marts.fct_etf_flow_agg_daily "
                  f"where asset = 'BTC' and session_date = '{day}'", "--format", "csv", *args, **env)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_row_22_the_same_payload_again_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again for a window that landed, a source adds sightings and no object; the build has nothing to do."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(home))
    raw = home / "landing" / "raw" / "nyfed" / "effr"
    before = sorted(p.name for p in raw.iterdir())
    served = publish.current(home)
    with session(settings.load, live=False) as loaded:
        source, feed = pipeline.find_feed("nyfed", "effr")
        first = pipeline.Store(home).attempts("nyfed", "effr")[0]
        window = pipeline.Window(start=datetime.fromisoformat(first.window_start).date(),
                                 end=datetime.fromisoformat(first.window_end).date(), at=PACK_CLOCK)  # fmt: skip
        for _ in range(2):
            (attempt,) = pipeline.land(loaded, "nyfed", "effr", run_id="again", window=window)
            assert attempt.outcome == "UNCHANGED"
        assert pipeline.build_step(loaded, "run-again") is None
    assert sorted(p.name for p in raw.iterdir()) == before
    assert publish.current(home).hashes == served.hashes


def test_row_25_a_backdated_revision_leaves_the_past_as_it_was(pack_home: Path, home: Path, tmp_path: Path) -> None:
    """A page seen later restates a session 40 days back: the current figure moves, as-of answers do not. What they were
    before is asked of the warehouse that this one is a copy of."""
    *_, (_, _, table, _) = _btc(PACK_CLOCK)
    for cell in ("IBIT", "Total"):
        table[date(2025, 12, 15)][cell] -= 1
    page = tmp_path / "page.html"
    page.write_bytes(farside_page("btc", table, len(table)))
    then, before = flow(pack_home, DAY_OF_REVISION, "--as-of", AS_OF), flow(home, DAY_OF_REVISION)
    done = capmig(home, "import", "farside", str(page), "--asset", "BTC", "--observed-at", LATER, CAPMIG_CLOCK=LATER)
    assert done.returncode == 0, done.stderr
    done = capmig(home, "publish", CAPMIG_CLOCK=LATER)
    assert done.returncode == 0, done.stderr
    after = flow(home, DAY_OF_REVISION)
    assert float(after.splitlines()[1].split(",")[0]) == float(before.splitlines()[1].split(",")[0]) - 1_000_000
    assert flow(home, DAY_OF_REVISION, "--as-of", AS_OF, CAPMIG_CLOCK=LATER) == then
    kind = capmig(home, "sql", "select revision_kind, delta from marts.fct_revision where series_id = 'ETF_FLOW.BTC.IBIT' "
                  f"and event_date = '{DAY_OF_REVISION}' and known_from = '{LATER}'", "--format", "csv")  # fmt: skip
    assert kind.stdout.splitlines()[1:] == ["correction,-1000000"]


def test_rows_46_and_67_a_killed_build_and_a_lost_warehouse(home: Path) -> None:
    """Everything but what landed is deleted; rebuilds are killed on the way; the marts come out byte for byte."""
    expected = publish.current(home).hashes
    for path in home.iterdir():
        if path.name not in ("landing", "clock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for delay in (4, 9):
        with _started(home, "publish") as child:
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        assert not (home / "serve" / "warehouse.duckdb").exists() or publish.verify(home) == []
    started = time.monotonic()
    done = capmig(home, "publish")
    assert done.returncode == 0, done.stderr
    assert publish.current(home).hashes == expected
    assert publish.verify(home) == []
    assert time.monotonic() - started < 300


def test_row_51_two_publishes_at_once(home: Path) -> None:
    """One wins; the other finds nothing to do or is fenced off in one line; readers see one whole version."""
    shutil.rmtree(home / "serve")
    children = [_started(home, "publish") for _ in range(2)]
    errors = [child.communicate(timeout=600)[1] for child in children]
    codes = sorted(child.returncode for child in children)
    assert codes in ([0, 0], [0, 1]), errors
    assert all("Traceback" not in text for text in errors)
    assert codes == [0, 0] or any("publish.stale" in text for text in errors), errors
    assert len(publish.versions(home)) == 1
    assert publish.verify(home) == []


def _started(home: Path, *args: str) -> subprocess.Popen:
    program = Path(sys.executable).with_name("capmig")
    env = {k: v for k, v in os.environ.items() if not k.startswith("CAPMIG_")} | {"WAREHOUSE_HOME": str(home)}
    return subprocess.Popen([program, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_row_42_a_full_disk_is_one_line_and_loses_nothing(home: Path, tmp_path: Path) -> None:
    """A file-size limit stands for the disk's end: the import fails, nothing half-written is visible, a second try works."""
    *_, (_, _, table, _) = _btc(PACK_CLOCK)
    page = tmp_path / "page.html"
    page.write_bytes(farside_page("btc", table, len(table)).replace(b"<h1>", b"<h1>Saved again: "))
    before = pipeline.Store(home).attempts("farside", "btc")
    command = f"ulimit -f 20; exec {Path(sys.executable).with_name('capmig')} import farside {page} --asset BTC --observed-at {iso(PACK_CLOCK)}"
    env = {k: v for k, v in os.environ.items() if not k.startswith("CAPMIG_")} | {"WAREHOUSE_HOME": str(home)}
    full = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert len(full.stderr.splitlines()) == 1
    assert "[os.error]" in full.stderr
    assert pipeline.Store(home).attempts("farside", "btc") == before
    assert pipeline.Store(home).verify() == []
    again = subprocess.run(
        ["/bin/sh", "-c", command.removeprefix("ulimit -f 20; ")], env=env, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("LANDED")
