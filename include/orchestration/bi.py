"""`python -m include.orchestration.bi check PORT | up PYTHON [PORT] | down`: Superset on this machine, on loopback.

PYTHON is the interpreter of Superset's own environment (include/bi/requirements.txt). State, keys and the password
stand in WAREHOUSE_HOME/bi. It reads the served file, or the PostgreSQL of WAREHOUSE_POSTGRES_URL where that is set.
"""

import http.client
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from include.core import disk
from include.core.errors import CapmigError, ConfigError
from include.orchestration import processes
from include.settings import ROOT, Settings, load
from include.warehouse import publish

BI, PORT, START_S = ROOT / "include" / "bi", 8088, 180.0


def check(settings: Settings, port: int) -> str:
    """What Superset would read, before 0.7 GB are installed for it.

    Raises `ConfigError` if it runs already, the port is taken, or nothing is published.
    """
    if processes.alive(settings.home / "bi"):
        raise ConfigError("it runs already", source="bi", rule="config.running", action="`make bi-down` stops it")
    processes.check_port(port, source="bi", action="free it, or `make bi BI_PORT=...`")
    return warehouse_url(settings)


def up(settings: Settings, python: Path, port: int = PORT) -> str:
    """Bring Superset's tables, user and dashboards to the state of the files, and serve it. Returns what to know.

    Raises what `check` raises; else `CapmigError`.
    """
    home, url = settings.home / "bi", check(settings, port)
    disk.make_dir(home / "logs")
    home.chmod(0o700)
    for name, size in (("secret_key", 48), ("password", 12)):
        disk.write_new(home / name, secrets.token_urlsafe(size).encode(), mode=0o600)
    disk.write_over(home / "url", url.encode(), mode=0o600)
    env = environment(home)
    _prepare(home, python, env)
    gunicorn = [str(python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8",
                "--worker-class", "gthread", "--timeout", "120", "superset.app:create_app()"]  # fmt: skip
    processes.start(home, {"superset": gunicorn}, env)
    try:
        _wait(home, port)
    except BaseException:
        processes.stop(home)
        raise
    names = ", ".join(sorted(path.stem for path in (BI / "assets" / "dashboards").glob("*.yaml")))
    return (f"Superset is up: http://127.0.0.1:{port}/superset/dashboard/today/, of {names}; user admin, the "
            f"password in {home / 'password'}; logs in {home / 'logs'}; `make bi-down` stops it")  # fmt: skip


def down(settings: Settings) -> str:
    """Stop exactly what `up` started."""
    return "stopped Superset" if processes.stop(settings.home / "bi") else "nothing was running"


def warehouse_url(settings: Settings) -> str:
    """What Superset connects to, as a SQLAlchemy URL. A secret where it is PostgreSQL."""
    if url := settings.postgres_url:
        scheme, _, rest = url.partition("://")
        if scheme not in ("postgresql", "postgres") or not rest:
            raise ConfigError("Superset wants PostgreSQL as a URL", source="bi", rule="config.postgres",
                              action="write postgresql://user:password@host:5432/database")  # fmt: skip
        return f"postgresql://{rest}"
    if publish.current(settings.home) is None:
        raise ConfigError("nothing has been published yet", source="bi", rule="serve.empty", action="`make run` first")
    return f"duckdb:///{settings.home / 'serve' / publish.FILE}"


def environment(home: Path) -> dict[str, str]:
    """The whole environment of a Superset process, and nothing of another Superset or of the warehouse."""
    own = {
        "FLASK_APP": "superset.app:create_app()",
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONUNBUFFERED": "1",
        "SCARF_ANALYTICS": "false",
        "SUPERSET_ADMIN_PASSWORD_FILE": str(home / "password"),
        "SUPERSET_CONFIG_PATH": str(BI / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "SUPERSET_SECRET_KEY_FILE": str(home / "secret_key"),
        "TZ": "UTC",
        "WAREHOUSE_URL_FILE": str(home / "url"),
    }
    return own | {k: v for k, v in os.environ.items() if k in ("LANG", "LC_ALL")}


def _prepare(home: Path, python: Path, env: dict[str, str]) -> None:
    with (home / "logs" / "prepare.log").open("wb") as log:
        done = subprocess.run([python, BI / "prepare.py"], cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=log,
                              stderr=log)  # fmt: skip
    if done.returncode:
        raise CapmigError("Superset could not be prepared", source="bi", rule="O.prepare",
                          action=f"see {home / 'logs' / 'prepare.log'}")  # fmt: skip


def _wait(home: Path, port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and processes.alive(home):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.5)
        finally:
            connection.close()
    raise CapmigError("Superset did not start", source="bi", rule="O.start",
                      action=f"see {home / 'logs' / 'superset.log'}")  # fmt: skip


def _run(words: list[str]) -> str | None:
    match words:
        case ["check", port] if port.isdigit():
            check(load(), int(port))
            return ""
        case ["up", python, *port] if len(port) < 2 and all(p.isdigit() for p in port):
            # Not resolved: a virtual environment is known by the path of its interpreter.
            return up(load(), Path(python).absolute(), *map(int, port))
        case ["down"]:
            return down(load())
    return None


if __name__ == "__main__":
    sys.exit(processes.command(_run, source="bi"))
