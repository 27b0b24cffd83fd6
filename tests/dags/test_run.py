"""The one-process run through Airflow, for real: its own process, the replay server, a warehouse on disk."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from include.landing.store import Store
from include.orchestration.runner import RunFailed, run_once
from include.replay import PACK_CLOCK, session
from include.settings import disabled, load
from include.sources import feeds
from tests.conftest import capmig


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse's place, empty."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "warehouse"))
    return tmp_path / "warehouse"


def _closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_landing_records_what_came_and_what_failed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that does not answer fails its DAG and is a recorded outcome; the run goes on. Again: nothing new."""
    monkeypatch.setenv("CAPMIG_BASE_URL__NYFED", _closed_port())
    monkeypatch.setenv("CAPMIG_FETCH_TRIES", "1")
    lines: list[str] = []
    with session(load, live=False) as settings:
        assert run_once(settings, progress=lines.append, only=("land__rates",)) == {"land__rates": "failed"}
        wanted = {(s.source_id, f.name) for s, f in feeds("rates") if not disabled(s, f)}
        first = {key: Store(home).attempts(*key) for key in wanted}
        assert {a.outcome for a in first.pop(("nyfed", "effr"))} == {"FAILED"}
        assert all({a.outcome for a in attempts} == {"LANDED"} for attempts in first.values())
        assert {a.run_id[:8] for attempts in first.values() for a in attempts} == {"manual__"}
        assert {f"land__rates.land {s}/{f}" for s, f in wanted} < set(lines)

        assert run_once(settings, progress=lines.append, only=("land__rates",)) == {"land__rates": "failed"}
        assert {key: Store(home).attempts(*key) for key in first} == first
        assert len(Store(home).attempts("nyfed", "effr")) == 2


def test_another_failure_ends_the_run_in_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no source's failure is told with its rule and action, as the step raised it."""
    monkeypatch.setenv("CAPMIG_CLOCK", "2026-01-31T23:59:59Z")
    with pytest.raises(RunFailed) as told:
        run_once(load(), progress=lambda _: None, only=("land__rates",))
    assert re.fullmatch(r"[a-z_]+: [^\n]+ \[config\.past_clock\] -> [^\n]+", str(told.value))
    assert (home / "airflow" / "run.log").stat().st_size > 0


@pytest.mark.timeout(900)
def test_a_run_publishes_and_the_next_changes_nothing(home: Path) -> None:
    """`capmig run` twice: every DAG, the gate and the publish; then the same version, and no payload more. Every
    recorded instant is the pack's, not the machine's."""
    first = capmig(home, "run")
    assert first.returncode == 0, first.stderr
    assert "published now" in first.stdout and (home / "serve" / "warehouse.duckdb").is_file()
    versions = sorted(p.name for p in (home / "serve").glob("v*"))
    raw = sorted((home / "landing" / "raw").rglob("*"))

    again = capmig(home, "run")
    assert again.returncode == 0, again.stderr
    assert "LANDED nothing new" in again.stdout and "unchanged: same inputs, same hash" in again.stdout
    assert sorted(p.name for p in (home / "serve").glob("v*")) == versions
    assert sorted((home / "landing" / "raw").rglob("*")) == raw
    attempts = [a for s, f in feeds() for a in Store(home).attempts(s.source_id, f.name)]
    assert {a.recorded_at[:19] for a in attempts} == {PACK_CLOCK.isoformat()[:19]}
    assert "Traceback" not in first.stdout + first.stderr + again.stdout + again.stderr
    assert _running(home) == []


def test_a_killed_run_leaves_no_process(home: Path) -> None:
    """The process that runs the DAGs ends with the command that asked."""
    program = Path(sys.executable).with_name("capmig")
    with subprocess.Popen([program, "run"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        assert any("land__" in line for line in run.stderr)
        assert len(_running(home)) == 2
        run.kill()
    end = time.monotonic() + 60
    while (left := _running(home)) and time.monotonic() < end:
        time.sleep(0.5)
    assert left == []


def _running(home: Path) -> list[str]:
    """Processes of this user whose environment names the warehouse."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"WAREHOUSE_HOME={home}\0".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found
