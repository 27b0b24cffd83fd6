"""What every DAG promises: who owns it, when it runs, what it may cost, what to do when it fails; and a pure parse."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from include import pipeline
from include.orchestration.home import environment
from include.settings import Settings, load
from include.sources import domain_of, feeds

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "dags").glob("*.py"))
DOMAINS, TIERS = {"macro", "etf", "chain", "events"}, {"tier:1", "tier:2", "tier:3"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Facts of every DAG, read by Airflow itself in a process with an empty home."""
    read, write = os.pipe()
    settings = load().model_copy(update={"warehouse_home": tmp_path_factory.mktemp("policy")})
    done = subprocess.run([sys.executable, "-m", "tests.dags.describe", str(ROOT / "dags"), str(write)], cwd=ROOT,
                          env=environment(settings), pass_fds=[write], capture_output=True, text=True)  # fmt: skip
    os.close(write)
    assert done.returncode == 0, done.stderr[-2000:]
    with os.fdopen(read) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def dags(found: dict) -> dict:
    """The DAGs by id."""
    return found["dags"]


def test_every_file_imports(found: dict) -> None:
    """No import error, and every file makes a DAG."""
    assert found["import_errors"] == {}
    assert {d["file"] for d in found["dags"].values()} == {f.name for f in FILES}


def test_one_landing_dag_for_each_clock_that_has_feeds(dags: dict) -> None:
    """And the four others; twelve are the budget."""
    clocks = {feed.clock for _, feed in feeds()}
    assert set(dags) == {f"land__{clock}" for clock in clocks} | {"build_warehouse", "backfill", "canary", "upkeep"}
    assert len(dags) <= 12


def test_tags_come_from_the_closed_lists(dags: dict) -> None:
    """One tier each; the domains are those of the feeds."""
    for dag_id, dag in dags.items():
        tags = set(dag["tags"])
        assert len(tags & TIERS) == 1 and tags <= DOMAINS | TIERS, dag_id
        if dag_id.startswith("land__"):
            mine = {domain_of(source) for source, _ in feeds(dag_id.removeprefix("land__"))}
            assert tags & DOMAINS == mine, dag_id


def test_no_run_catches_up_and_none_overtakes_another(dags: dict) -> None:
    """catchup off, one active run."""
    assert {(d["catchup"], d["max_active_runs"]) for d in dags.values()} == {(False, 1)}


def test_every_task_has_an_owner_retries_that_back_off_and_a_timeout(dags: dict) -> None:
    """Stated on every task, mapped ones too."""
    for dag_id, dag in dags.items():
        for task in dag["tasks"]:
            where = f"{dag_id}.{task['task_id']}"
            assert task["owner"] == "data-platform", where
            assert task["retries"] == 2 and task["retry_exponential_backoff"] == 2.0, where
            assert 0 < task["execution_timeout"] <= 3600, where


def test_every_failure_is_told_and_what_publishes_looks_around(dags: dict) -> None:
    """By notifiers, after the last try; a run that lands or builds has a deadline within a few of its own turns."""
    for dag_id, dag in dags.items():
        for task in dag["tasks"]:
            told = {"failure": ["Failed"], "success": ["Passed"], "skipped": ["Passed"]}
            assert task["told"] == told, f"{dag_id}.{task['task_id']}"
    looking = {(d, t["task_id"]) for d, dag in dags.items() for t in dag["tasks"] if t["looks"]}
    assert looking == {("build_warehouse", "publish"), ("canary", "beat")}
    limits = {d: dag["deadline"] for d, dag in dags.items() if d.startswith("land__") or d == "build_warehouse"}
    assert all(limit == [["include.orchestration.notify.Missed", limit[0][1]]] for limit in limits.values())
    assert {d: limit[0][1] for d, limit in limits.items()} == dict.fromkeys(limits, 3600) | {"build_warehouse": 5400}


def test_the_canary_beats_every_five_minutes(dags: dict) -> None:
    """As often as the age that is an alarm supposes, and outside every pool that could be full."""
    assert dags["canary"]["cron"] == "*/5 * * * *" and timedelta(minutes=5) == pipeline.BEAT_EVERY
    assert [t["pool"] for t in dags["canary"]["tasks"]] == ["default_pool"]


def test_the_runbook_is_the_documentation(dags: dict) -> None:
    """doc_md is include/runbooks/<file>.md, which lists symptoms with causes and actions."""
    for dag_id, dag in dags.items():
        text = (ROOT / "include" / "runbooks" / dag["file"]).with_suffix(".md").read_text(encoding="utf-8")
        assert dag["doc_md"].strip() == text.strip(), dag_id
        assert "| symptom | cause | action |" in text and text.count("\n|") >= 7, dag_id


def test_mapped_tasks_are_bounded_and_named(dags: dict) -> None:
    """At most eight at once; the label says which feed or window."""
    mapped = [t for d in dags.values() for t in d["tasks"] if t["mapped"]]
    assert len(mapped) >= 4
    assert all(t["max_active_tis_per_dag"] in range(1, 9) and t["map_index_template"] for t in mapped)


def test_schedules_are_those_of_the_clocks(dags: dict) -> None:
    """Zone-aware: US funds by New York time, the rest by UTC."""
    assert dags["land__rates"]["crons"] == [[c, "UTC"] for c in ("45 0 * * *", "0 9 * * *", "30 22 * * *")]
    assert dags["land__derivatives"]["crons"] == [["*/5 * * * *", "UTC"]]
    assert {zone for _, zone in dags["land__etf_flows"]["crons"]} == {"America/New_York"}


def test_landing_wakes_the_build(dags: dict) -> None:
    """Each landing DAG sends one event, at its end, whatever became of its feeds; the build waits for any of them."""
    sent = set()
    for dag_id, dag in dags.items():
        outlets = [t for t in dag["tasks"] if t["outlets"]]
        if dag_id.startswith("land__") or dag_id == "backfill":
            assert [t["task_id"] for t in outlets] == ["announce"], dag_id
            assert outlets[0]["is_teardown"] and outlets[0]["upstream"] == ["land"], dag_id
            sent |= set(outlets[0]["outlets"])
    assert dags["build_warehouse"]["woken_by"] == sorted(sent)


def test_who_opens_a_build_file_holds_the_pool(dags: dict) -> None:
    """Fetches run outside it; the waiting task holds no slot."""
    pools = {(d, t["task_id"]): t["pool"] for d, dag in dags.items() for t in dag["tasks"]}
    inside = {("build_warehouse", step) for step in ("build", "check", "publish")} | {("upkeep", "stored_files")}
    assert {where for where, pool in pools.items() if pool == "warehouse"} == inside
    (pace,) = [t for t in dags["build_warehouse"]["tasks"] if t["task_id"] == "pace"]
    assert pace["deferrable"] and pace["upstream"] == []


def test_files_are_short() -> None:
    """Sixty lines, absolute imports."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 60 and "from ." not in text, path.name


PURE = """
import os, runpy, socket, sqlite3, sys, time
import airflow.sdk, airflow.settings
from airflow.sdk import Connection, Variable
from airflow.providers.standard.sensors import time_delta

def refuse(*_, **__):
    raise AssertionError("a DAG file reached out while it was parsed")

Variable.get = Connection.get = refuse
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sqlite3.connect = sqlite3.dbapi2.connect = refuse
airflow.settings.engine = None
for path in sys.argv[2:]:
    if os.fork():
        assert os.wait()[1] == 0, path
        continue
    start = time.process_time()
    runpy.run_path(path)
    used = time.process_time() - start
    heavy = sorted({"dbt", "duckdb", "great_expectations", "pandas", "requests"} & set(sys.modules))
    os.write(int(sys.argv[1]), f"{used:.3f} {','.join(heavy)}\\n".encode())
    os._exit(0)
"""


def test_parsing_is_pure_and_fast(tmp_path: Path) -> None:
    """Two seconds of processor time a file beyond Airflow's own import, which all forks share; no socket, database,
    variable or heavy import."""
    read, write = os.pipe()
    settings: Settings = load().model_copy(update={"warehouse_home": tmp_path})
    done = subprocess.run([sys.executable, "-c", PURE, str(write), *map(str, FILES)], cwd=tmp_path, capture_output=True,
                          env=environment(settings), pass_fds=[write], text=True)  # fmt: skip
    os.close(write)
    assert done.returncode == 0, done.stderr[-2000:]
    with os.fdopen(read) as answer:
        told = [line.rstrip("\n").split(" ") for line in answer]
    assert len(told) == len(FILES) > 0
    assert all(float(used) < 2.0 and heavy == "" for used, heavy in told), told
    assert list(tmp_path.glob("[!a]*")) == []
