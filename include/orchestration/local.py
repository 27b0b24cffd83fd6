"""`python -m include.orchestration.local up|down`: a whole Airflow on this machine, on loopback, on the real clocks.

Beside it runs `watch`, a process of its own: a scheduler that hangs can tell nobody so.
"""

import http.client
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from include.core import disk
from include.core.errors import CapmigError, ConfigError
from include.orchestration.home import PORT, airflow_home, environment
from include.settings import ROOT, Settings, load

COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "watch": ["include.orchestration.local", "watch"],
}
START_S, STOP_S, WATCH_S = 180.0, 30.0, 60.0


def up(settings: Settings, *, port: int = PORT) -> str:
    """Start every component and wait until all are healthy. Returns what a person needs to know.

    Raises `ConfigError` if it runs already, the port is taken, or the warehouse holds the replay pack's clock.
    """
    home = airflow_home(settings)
    if settings.clock_is_past:
        raise ConfigError("this warehouse's clock lies in the past", source="airflow", rule="config.past_clock",
                          action="use a WAREHOUSE_HOME of its own, without CAPMIG_CLOCK, for live data")  # fmt: skip
    if _alive(home):
        raise ConfigError("it runs already", source="airflow", rule="config.running", action="`make down` stops it")
    _check_port(port)
    disk.make_dir(home / "logs")
    new = disk.write_new(home / "passwords.json", _passwords(), mode=0o600)
    # Tasks prove to the API server by this secret that a component of the same `up` sent them.
    env = environment(settings, port=port) | {"AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48)}
    _prepare(home, env)
    started = {}
    for name, arguments in COMPONENTS.items():
        with (home / "logs" / f"{name}.log").open("ab") as log:
            child = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=env, stdout=log,
                                     stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)  # fmt: skip
        started[name] = [child.pid, psutil.Process(child.pid).create_time()]
        disk.write_over(home / "pids.json", json.dumps(started).encode())
    try:
        _wait_healthy(home, port)
    except BaseException:
        down(settings)
        raise
    password = json.loads((home / "passwords.json").read_text(encoding="utf-8"))["admin"]
    said = f"password {password}, shown this once" if new else f"the password in {home / 'passwords.json'}"
    return f"Airflow is up: http://127.0.0.1:{port}, user admin, {said}; logs in {home / 'logs'}; `make down` stops it"


def down(settings: Settings) -> str:
    """Stop exactly what `up` started, and wait until it is gone. A process id that was given anew is left alone."""
    home = airflow_home(settings)
    groups = _alive(home)
    for stop, patience in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        for group in groups:
            _signal(group, stop)
        until = time.monotonic() + patience
        while any(_in_group(groups)) and time.monotonic() < until:
            time.sleep(0.2)
        if not any(_in_group(groups)):
            break
    disk.remove_file(home / "pids.json")
    return f"stopped {len(groups)} components" if groups else "nothing was running"


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


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _alive(home: Path) -> list[int]:
    """Process groups of `pids.json` with a live process in them, also where the component itself has died.

    A leader that was born at another time is somebody else's: the number was given anew.
    """
    try:
        started = json.loads((home / "pids.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [pid for pid, born in started.values() if _born(pid) in (born, None) and _in_group([pid])]


def _born(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def _in_group(groups: list[int]) -> list[int]:
    """Live processes of these groups; a zombie is gone already."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) in groups and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ConfigError(f"port {port} is taken", source="airflow", rule="config.port",
                              action="free it, or `make up PORT=...`") from None  # fmt: skip


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
        if len(_alive(home)) < len(COMPONENTS):
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


def main(argv: list[str]) -> int:
    """`up [PORT]` or `down`."""
    try:
        if argv[:1] == ["up"] and all(a.isdigit() for a in argv[1:2]):
            sys.stdout.write(f"{up(load(), port=int(argv[1]) if argv[1:] else PORT)}\n")
        elif argv == ["watch"]:
            watch()
        elif argv == ["down"]:
            sys.stdout.write(f"{down(load())}\n")
        else:
            raise ConfigError("say up or down", source="airflow", rule="cli.usage", action="see `make help`")
    except CapmigError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
