"""Rows 50 and 52: a first try that wakes up late, steps that are cleared, and runs that are triggered twice.

Real processes on a copy of the pack's warehouse; a try is stopped by SIGSTOP between its check and its publish, which is
where a machine that sleeps, or a scheduler that gave up on it, leaves it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import psutil
import pytest

from include import pipeline
from include.replay import PACK_CLOCK
from include.replay.farside import _btc
from include.replay.farside import page as farside_page
from include.settings import load
from include.warehouse import journal, publish
from tests.conftest import capmig
from tests.dags.run import once

LATER = "2026-02-02T12:00:00Z"
TRY = """
import os, signal, sys
from include import pipeline
from include.core.errors import CapmigError
from include.settings import load

settings, run_id = load(), sys.argv[1]
pipeline.build_step(settings, run_id)
pipeline.check_step(settings, run_id)
os.kill(os.getpid(), signal.SIGSTOP)
try:
    print(pipeline.publish_step(settings, run_id)["seq"])
except CapmigError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def home(pack_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse of one's own in which something new has landed."""
    copy = tmp_path / "home"
    shutil.copytree(pack_home, copy, ignore=shutil.ignore_patterns("run-*", "asof", "dbt", "airflow"))
    monkeypatch.setenv("WAREHOUSE_HOME", str(copy))
    monkeypatch.setenv("CAPMIG_CLOCK", LATER)
    saved = tmp_path / "page.html"
    *_, (_, _, table, _) = _btc(PACK_CLOCK)
    for cell in ("IBIT", "Total"):
        table[date(2025, 12, 15)][cell] -= 1
    saved.write_bytes(farside_page("btc", table, len(table)))
    done = capmig(copy, "import", "farside", str(saved), "--asset", "BTC", "--observed-at", LATER,
                  CAPMIG_CLOCK=LATER)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return copy


def seqs(home: Path) -> list[int]:
    """The versions that are kept."""
    return [p.seq for p in publish.versions(home)]


def started(run_id: str) -> subprocess.Popen[str]:
    """A try of build, check and publish that stops itself before it publishes."""
    child = subprocess.Popen([sys.executable, "-c", TRY, run_id], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=os.environ.copy())  # fmt: skip
    end = time.monotonic() + 300
    while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED and time.monotonic() < end:
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.2)
    assert psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
    return child


@pytest.mark.timeout(900)
def test_row_50_an_orphan_that_wakes_up_is_refused_at_commit(home: Path) -> None:
    """The second try publishes while the first is stopped; woken, the first is fenced off by its number: publishes = 1."""
    orphan = started("run-orphan")
    try:
        done = capmig(home, "publish", CAPMIG_CLOCK=LATER)
        assert done.returncode == 0 and done.stdout == "published version 2\n", done.stderr
        good = publish.current(home)
    finally:
        orphan.send_signal(signal.SIGCONT)
    said, error = orphan.communicate(timeout=300)
    assert orphan.returncode == 1 and said == ""
    assert "[publish.stale]" in error and "Traceback" not in error
    assert seqs(home) == [1, 2] and publish.current(home) == good
    assert [r["seq"] for r in journal.rows(home, "publication")] == [1, 2]
    assert publish.verify(home) == []
    assert json.loads((home / "serve" / "status.json").read_text())["version"] == 2


@pytest.mark.timeout(900)
def test_row_52_a_cleared_step_and_a_second_event_publish_nothing_new(home: Path) -> None:
    """Two events wake two runs, and every step of the first is cleared: one version, one row of it in each journal."""
    first, second = once(load(), ("build_warehouse", {}), ("build_warehouse", {}))
    assert first["state"] == "success" and ["publish", -1, "success"] in first["tasks"]
    assert [(t, s) for t, _, s in second["tasks"] if t in ("build", "check", "publish")] == [
        ("build", "skipped"), ("check", "skipped"), ("publish", "skipped"),
    ]  # fmt: skip
    assert seqs(home) == [1, 2]
    run_id = publish.current(home).run_id
    kept = {name: journal.rows(home, name) for name in journal.NAMES}
    status = (home / "serve" / "status.json").read_bytes()
    assert (home / "build" / run_id).is_dir()
    pipeline.publish_step(load(), run_id)  # cleared after it had succeeded
    pipeline.check_step(load(), run_id)
    pipeline.publish_step(load(), run_id)
    assert seqs(home) == [1, 2]
    assert {name: journal.rows(home, name) for name in journal.NAMES} == kept
    assert (home / "serve" / "status.json").read_bytes() == status
    assert pipeline.build_step(load(), "run-again") is None
