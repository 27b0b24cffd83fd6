"""Processes that outlive the command which started them: kept by process id and birth under a directory, stopped by
that alone. `home/pids.json` holds them, `home/logs/<name>.log` what they say."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from include.core import disk
from include.core.errors import CapmigError, ConfigError
from include.settings import ROOT

STOP_S = 30.0


def start(home: Path, commands: dict[str, list[str]], env: dict[str, str]) -> None:
    """Start each command in a group of its own."""
    disk.make_dir(home / "logs")
    started = {}
    for name, command in commands.items():
        with (home / "logs" / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stdin=subprocess.DEVNULL, stderr=log,
                                     start_new_session=True)  # fmt: skip
        started[name] = [child.pid, psutil.Process(child.pid).create_time()]
        disk.write_over(home / "pids.json", json.dumps(started).encode())


def stop(home: Path) -> int:
    """Stop exactly what `start` started, and wait until it is gone. Returns how many ran. A process id that was given
    anew is left alone."""
    groups = alive(home)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            _signal(group, number)
        until = time.monotonic() + STOP_S
        while any(_in_group(groups)) and time.monotonic() < until:
            time.sleep(0.2)
        if not any(_in_group(groups)):
            break
    disk.remove_file(home / "pids.json")
    return len(groups)


def alive(home: Path) -> list[int]:
    """Process groups of `pids.json` with a live process in them, also where the first of them has died.

    A leader that was born at another time is somebody else's: the number was given anew.
    """
    try:
        started = json.loads((home / "pids.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [pid for pid, born in started.values() if _born(pid) in (born, None) and _in_group([pid])]


def check_port(port: int, *, source: str, action: str) -> None:
    """Refuse a port of loopback that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ConfigError(f"port {port} is taken", source=source, rule="config.port", action=action) from None


def command(run: Callable[[list[str]], str | None], *, source: str) -> int:
    """What a module that starts processes does with its words: `run` answers with what to say, None if it does not know
    them. Returns the exit code; an error is one line."""
    try:
        said = run(sys.argv[1:])
        if said is None:
            raise ConfigError("say up or down", source=source, rule="cli.usage", action="see `make help`")
    except CapmigError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{said}\n" if said else "")
    return 0


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


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
