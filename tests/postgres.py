"""A PostgreSQL of the test's own: a fresh cluster on a free port of 127.0.0.1, with passwords, stopped at the end.

The server comes from a system package (packages.txt). Where it is not there, the tests that need it fail; they are
skipped only if `make test` has said that it could not be installed, by naming it in MISSING_SYSTEM_PACKAGES.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

PACKAGE = "postgresql-15"


def _program(name: str) -> str:
    """Path of one of the server's programs; Debian keeps them out of PATH."""
    debian = Path("/usr/lib/postgresql/15/bin") / name
    if found := str(debian) if debian.exists() else shutil.which(name):
        return found
    if PACKAGE in os.environ.get("MISSING_SYSTEM_PACKAGES", "").split():
        pytest.skip(f"{PACKAGE} is not installed, as `make test` has said")
    pytest.fail(f"{PACKAGE} is not installed: see packages.txt, or let `make test` install it")


@dataclass(slots=True)
class Server:
    """A running server; `process` is its postmaster. Superuser `postgres`, database `postgres`."""

    directory: Path
    port: int
    password: str
    process: subprocess.Popen

    def url(self, user: str = "postgres", password: str = "", database: str = "postgres") -> str:
        """A connection URL; the superuser's by default."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, *of: str, **options: object) -> psycopg.Connection:
        """A connection that commits each statement."""
        return psycopg.connect(self.url(*of), autocommit=True, **options)

    def sql(self, statement: str, *of: str) -> list[tuple]:
        """Run one statement and return its rows."""
        with self.connect(*of) as con:
            cursor = con.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start the server, again if it was stopped, and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off",
                   "log_min_messages": "warning", "max_connections": 40}  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*as_server_user(), _program("postgres"), "-D", self.directory / "data",
                 *(word for name, value in options.items() for word in ("-c", f"{name}={value}"))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
            )  # fmt: skip
        until = time.monotonic() + 30
        while True:
            try:
                return self.connect().close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.directory / "log").read_text()) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """End the postmaster as a crash does; its children follow when they notice."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Fast shutdown."""
        if self.process.poll() is None:
            self.process.send_signal(2)
            self.process.wait(30)


def as_server_user() -> list[str]:
    """The server refuses root: another user runs it then."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def server() -> Iterator[Server]:
    """A fresh cluster, running; gone afterwards."""
    initdb = _program("initdb")
    # Not under pytest's directory, which the server's user may not enter. WAL segments of 1 MB, for the full disk.
    directory = Path(tempfile.mkdtemp(prefix="capmig-postgres-"))
    try:
        password = f"canary-{secrets.token_hex(12)}"
        (directory / "password").write_text(password)
        if os.geteuid() == 0:
            somebody = pwd.getpwnam("postgres")
            for path in (directory, directory / "password"):
                os.chown(path, somebody.pw_uid, somebody.pw_gid)
        subprocess.run(
            [*as_server_user(), initdb, "-D", directory / "data", "-U", "postgres", "-A", "scram-sha-256", "-N",
             "--pwfile", directory / "password", "-E", "UTF8", "--locale=C", "--wal-segsize=1"],
            check=True, capture_output=True, cwd=directory,
        )  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running = Server(directory, port, password, None)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(directory)
