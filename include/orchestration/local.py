"""`python -m include.orchestration.local up|down`: a whole Airflow on this machine, on loopback, on the real clocks.

Beside it runs `watch`, a process of its own: a scheduler that hangs can tell nobody so.
"""

import http.client
import json
import logging
import secrets
import subprocess
import sys
import time
from pathlib import Path

from include.core import disk
from include.core.errors import CapmigError, ConfigError
from include.orchestration import processes
from include.orchestration.home import PORT, airflow_home, environment
from include.settings import ROOT, Settings, load

COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "watch": ["include.orchestration.local", "watch"],
}
START_S, WATCH_S = 180.0, 60.0


def up(settings: Settings, *, port: int = PORT) -> str:
    """Start every component and wait until all are healthy. Returns what a person needs to know.

    Raises `ConfigError` if it runs already, the port is taken, or the warehouse holds the replay pack's clock.
    """
    home = airflow_home(settings)
    if settings.clock_is_past:
        raise ConfigError("this warehouse's clock lies in the past", source="airflow", rule="config.past_clock",
                          action="use a WAREHOUSE_HOME of its own, without CAPMIG_CLOCK, for live data")  # fmt: skip
    if processes.alive(home):
        raise ConfigError("it runs already", source="airflow", rule="config.running", action="`make down` stops it")
    processes.check_port(port, source="airflow", action="free it, or `make up PORT=...`")
    disk.make_dir(home / "logs")
    new = disk.write_new(home / "passwords.json", _passwords(), mode=0o600)
    # Tasks prove to the API server by this secret that a component of the same `up` sent them.
    env = environment(settings, port=port) | {"AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48)}
    _prepare(home, env)
    processes.start(home, {name: [sys.executable, "-m", *words] for name, words in COMPONENTS.items()}, env)
    try:
        _wait_healthy(home, port)
    except BaseException:
        down(settings)
        raise
    password = json.loads((home / "passwords.json").read_text(encoding="utf-8"))["admin"]
    said = f"password {password}, shown this once" if new else f"the password in {home / 'passwords.json'}"
    return f"Airflow is up: http://127.0.0.1:{port}, user admin, {said}; logs in {home / 'logs'}; `make down` stops it"


def down(settings: Settings) -> str:
    """Stop exactly what `up` started, and wait until it is gone."""
    stopped = processes.stop(airflow_home(settings))
    return f"stopped {stopped} components" if stopped else "nothing was running"


def watch() -> None:
    """Look at the canary's heartbeat once a minute, for ever; tell, and rewrite `status.json`, when it changes."""
    from include import alerts, pipeline
    from include.orchestration.channels import channels

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.Formatter.converter = time.gmtime
    up_since, well = load().clock, True
    while True:
        try:
            settings = load()
            was, well = well, alerts.canary(settings, channels(settings), up_since)
            if was != well:
                pipeline.status_step(settings, settings.clock)
        except Exception as error:  # the watch outlives a full disk and a wrong configuration
            logging.getLogger("capmig.alert").warning("%s: %s", type(error).__name__, error)
        time.sleep(WATCH_S)


def _passwords() -> bytes:
    return (json.dumps({"admin": secrets.token_urlsafe(12)}) + "\n").encode()


def _prepare(home: Path, env: dict[str, str]) -> None:
    with (home / "logs" / "prepare.log").open("wb") as log:
        done = subprocess.run([sys.executable, "-m", "include.orchestration.inprocess", "prepare"], cwd=ROOT, env=env,
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
    if done.returncode:
        raise CapmigError("the metadata database could not be prepared", source="airflow", rule="O.prepare",
                          action=f"see {home / 'logs' / 'prepare.log'}")  # fmt: skip


def _wait_healthy(home: Path, port: int) -> None:
    """Until the API says that every component has a recent heartbeat."""
    until, seen = time.monotonic() + START_S, "no answer"
    while time.monotonic() < until:
        if len(processes.alive(home)) < len(COMPONENTS):
            seen = "a component ended"
            break
        health = _health(port)
        waiting = [name for name, state in health.items() if state != "healthy"]
        if health and not waiting:
            return
        seen = f"not healthy: {', '.join(waiting)}" if health else seen
        time.sleep(1)
    raise CapmigError(f"it did not start, {seen}", source="airflow", rule="O.start",
                      action=f"see {home / 'logs'}; everything started was stopped again")  # fmt: skip


def _health(port: int) -> dict[str, str | None]:
    """Each component's status by the API server; empty if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v2/monitor/health")
        return {name: part["status"] for name, part in json.loads(connection.getresponse().read()).items()}
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def _run(words: list[str]) -> str | None:
    match words:
        case ["up", *port] if len(port) < 2 and all(p.isdigit() for p in port):
            return up(load(), port=int(port[0]) if port else PORT)
        case ["watch"]:
            watch()
        case ["down"]:
            return down(load())
    return None


if __name__ == "__main__":
    sys.exit(processes.command(_run, source="airflow"))
