"""`make up` and `make down` for real: every component, a task under the scheduler, the asset that wakes the build."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from include import alerts
from include.core.clock import parse_instant
from include.landing.store import Store
from include.orchestration.channels import channels
from include.orchestration.home import environment
from include.settings import load
from include.sources import feeds, registry

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 420


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _local(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command behind the targets; every source is asked on a port that nobody listens on."""
    nowhere = {f"CAPMIG_BASE_URL__{source_id.upper()}": "http://127.0.0.1:9" for source_id in registry()}
    return subprocess.run([sys.executable, "-m", "include.orchestration.local", *args], cwd=ROOT, timeout=300,
                          env=os.environ | nowhere | {"WAREHOUSE_HOME": str(home), "CAPMIG_FETCH_TRIES": "1"},
                          capture_output=True, text=True)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A warehouse's place; whatever was started there is stopped."""
    yield tmp_path / "live"
    _local(tmp_path / "live", "down")


def _client(port: int) -> Callable[..., dict]:
    def ask(method: str, path: str, body: dict | None = None, token: str = "") -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        connection.request(method, path, body and json.dumps(body), headers)
        return json.loads(connection.getresponse().read())

    return ask


def _until(what: Callable[[], object]) -> object:
    end = time.monotonic() + PATIENCE_S
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.5)
    assert found
    return found


@pytest.mark.timeout(900)
def test_up_runs_tasks_and_down_stops_exactly_that(home: Path) -> None:
    """A landing DAG by the scheduler, the build woken by its asset; loopback only; nothing left afterwards."""
    port = _free_port()
    done = _local(home, "up", str(port))
    assert done.returncode == 0, done.stderr
    password = re.search(r"user admin, password (\S+), shown this once", done.stdout)[1]
    assert (home / "airflow" / "passwords.json").stat().st_mode & 0o077 == 0
    started = {pid for pid, _ in json.loads((home / "airflow" / "pids.json").read_text()).values()}
    assert len(started) == 5

    again = _local(home, "up", str(port))
    assert again.returncode == 2 and "runs already" in again.stderr and again.stderr.count("\n") == 1

    listening = [c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and _ours(c.pid, started)]
    assert set(listening) == {"127.0.0.1"}

    ask = _client(port)
    token = ask("POST", "/auth/token", {"username": "admin", "password": password})["access_token"]
    assert ask("GET", "/api/v2/importErrors", token=token)["total_entries"] == 0
    pool = ask("GET", "/api/v2/pools/warehouse", token=token)
    assert (pool["slots"], pool["include_deferred"]) == (1, False)
    _until(lambda: "land__curated" in {d["dag_id"] for d in ask("GET", "/api/v2/dags", token=token).get("dags", [])})
    ask("POST", "/api/v2/dags/land__curated/dagRuns", {"logical_date": None}, token)
    _until(lambda: _state(ask, token, "land__curated") == "success")
    assert all(Store(home).attempts(s.source_id, f.name)[-1].outcome == "LANDED" for s, f in feeds("curated"))
    _until(lambda: _state(ask, token, "build_warehouse", "asset_triggered"))
    _a_scheduler_that_hangs_is_noticed(home, ask, token)

    stopped = _local(home, "down")
    assert stopped.stdout == "stopped 5 components\n"
    assert [p for p in psutil.process_iter() if _ours(p.pid, started)] == []
    assert _local(home, "down").stdout == "nothing was running\n"


def _a_scheduler_that_hangs_is_noticed(home: Path, ask: Callable[..., dict], token: str) -> None:
    """Row 70: stopped, not dead. Its process stays and the API answers; the heartbeat's age alone tells."""
    ask("POST", "/api/v2/dags/canary/dagRuns", {"logical_date": None}, token)
    _until(lambda: (home / "heartbeat").exists())
    settings = load(home)
    beat_at = parse_instant((home / "heartbeat").read_text())
    scheduler = json.loads((home / "airflow" / "pids.json").read_text())["scheduler"][0]
    os.killpg(scheduler, signal.SIGSTOP)
    try:
        assert ask("GET", "/api/v2/version")["version"] == "3.3.2"
        looks = [alerts.canary(settings.model_copy(update={"clock": beat_at + timedelta(minutes=minutes)}),
                               channels(settings), beat_at - timedelta(hours=1)) for minutes in (5, 16)]  # fmt: skip
    finally:
        os.killpg(scheduler, signal.SIGCONT)
    assert looks == [True, False]
    told = [json.loads(line) for line in (home / "journal" / "alert.jsonl").read_text().splitlines()]
    assert (told[-1]["kind"], told[-1]["state"]) == ("canary", "raised")
    assert "watch" in json.loads((home / "airflow" / "pids.json").read_text())
    assert (home / "airflow" / "logs" / "watch.log").is_file()


def _state(ask: Callable[..., dict], token: str, dag_id: str, kind: str = "") -> str:
    runs = ask("GET", f"/api/v2/dags/{dag_id}/dagRuns", token=token).get("dag_runs", [])
    return next((r["state"] for r in runs if kind in ("", r["run_type"])), "")


def _ours(pid: int | None, groups: set[int]) -> bool:
    try:
        alive = pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return bool(alive) and os.getpgid(pid) in groups
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def test_a_taken_port_and_a_past_clock_are_refused(tmp_path: Path) -> None:
    """In one line, before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = _local(tmp_path, "up", str(taken.getsockname()[1]))
    assert done.returncode == 2 and "[config.port]" in done.stderr and done.stderr.count("\n") == 1
    (tmp_path / "clock").write_text("2026-01-31T23:59:59.000000Z\n")
    done = _local(tmp_path, "up", str(_free_port()))
    assert done.returncode == 2 and "[config.past_clock]" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "airflow" / "pids.json").exists()


def test_nothing_of_another_airflow_on_this_machine_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's AIRFLOW__ variables do not reach ours; the run's own settings do."""
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://elsewhere/airflow")
    monkeypatch.setenv("AIRFLOW_CONN_X", "http://elsewhere")
    monkeypatch.setenv("CAPMIG_CLOCK", "2026-01-23T03:07Z")
    own = environment(load().model_copy(update={"warehouse_home": tmp_path}))
    assert own["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{tmp_path}/airflow/airflow.db"
    assert "AIRFLOW_CONN_X" not in own
    assert own["CAPMIG_CLOCK"] == "2026-01-23T03:07:00.000000Z"
