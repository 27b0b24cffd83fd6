"""DAG.test in a process of its own, on a warehouse of one's own: what the tests of DAGs share."""

import json
import os
import subprocess
import sys
from pathlib import Path

from include.core import disk
from include.orchestration.home import airflow_home, environment
from include.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def said(settings: Settings) -> Path:
    """The file with all that the runs of a warehouse printed, the tasks' logs too."""
    return airflow_home(settings) / "once.log"


def once(settings: Settings, *wanted: tuple[str, dict]) -> list[dict]:
    """Each DAG with its parameters: state, and [task, map index, state] of each task. What was printed: `said`."""
    disk.make_dir(airflow_home(settings))
    read, write = os.pipe()
    done = subprocess.run([sys.executable, "-m", "tests.dags.once", str(write), json.dumps(wanted)], cwd=ROOT,
                          env=environment(settings), pass_fds=[write], capture_output=True, text=True)  # fmt: skip
    os.close(write)
    with said(settings).open("a", encoding="utf-8") as log:
        log.write(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    with os.fdopen(read) as answer:
        return json.load(answer)
