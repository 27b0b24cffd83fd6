"""The one-process run: every landing DAG, then build_warehouse, by `dag.test()` in one child process.

A process of its own keeps Airflow's configuration, logging and memory out of the command that asked, and its output
in a file. See the decision record 0001.
"""

import json
import subprocess
import sys
from collections.abc import Callable

from include.core import disk
from include.core.errors import CapmigError
from include.orchestration.home import airflow_home, environment
from include.settings import ROOT, Settings


class RunFailed(CapmigError):
    """A task failed for another reason than a source's recorded failure. Carries that failure's rule and action."""


def run_once(settings: Settings, *, progress: Callable[[str], None], only: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the landing DAGs and build_warehouse once, in order, or `only` those. Returns each one's state.

    A feed that failed is a recorded outcome: it fails its DAG, not the run. Any other failed task raises `RunFailed`.
    """
    home = airflow_home(settings)
    disk.make_dir(home)
    log = home / "run.log"
    said: dict = {}
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "include.orchestration.inprocess", "run", *only],
            cwd=ROOT, env=environment(settings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file,
        ) as child,
    ):  # fmt: skip
        for line in child.stdout:
            said = json.loads(line)
            if "progress" in said:
                progress(said["progress"])
    if "failed" in said:
        raise RunFailed(**(said["failed"] | {"action": said["failed"]["action"] or f"see {log}"}))
    if child.returncode or "states" not in said:
        raise RunFailed(f"the run's process ended with code {child.returncode}", source="airflow",
                        rule="O.process", action=f"see {log}")  # fmt: skip
    return said["states"]
