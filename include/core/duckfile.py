"""Attaching a finished DuckDB file. A file that cannot be read says why, with what to do."""

import re
from pathlib import Path

import duckdb

from include.core.errors import CapmigError, IntegrityError

_STORAGE_RANGE = re.compile(r"version number (\d+), but we can only read versions between (\d+) and (\d+)")


def attach(con: duckdb.DuckDBPyConnection, path: Path, alias: str) -> None:
    """Attach `path` read-only as `alias`, to an in-memory connection.

    A file opened directly is shared within a process under its name: a second connection would go on reading the
    file that a publish replaced. An in-memory connection with the file attached always reads what the name means now.
    Raises `CapmigError` if there is no file, `IntegrityError` if it cannot be read or is of a newer DuckDB.
    """
    if not path.is_file():
        raise CapmigError(f"there is no {path.name} at {path.parent}", source="warehouse", rule="serve.missing",
                          action="run `capmig run` to build and publish one")  # fmt: skip
    try:
        con.execute("ATTACH '{}' AS {} (READ_ONLY)".format(str(path).replace("'", "''"), alias))
    except duckdb.Error as error:
        if found := _STORAGE_RANGE.search(str(error)):
            written, low, high = found.groups()
            raise IntegrityError(
                f"{path.name} was written by DuckDB {written_by(path)} (storage {written}); "
                f"this is DuckDB v{duckdb.__version__}, which reads storage {low} to {high}",
                source="warehouse", rule="serve.storage_version",
                action="install the newer DuckDB, or rebuild with `capmig build` and publish") from None  # fmt: skip
        raise IntegrityError(f"{path.name} cannot be read: {first_line(error)}", source="warehouse",
                             rule="serve.unreadable",
                             action="build it again, or `capmig rollback` if it is served") from None  # fmt: skip


def written_by(path: Path) -> str:
    """The version of DuckDB that wrote a file, from its header: `v1.5.5`."""
    with path.open("rb") as file:
        header = file.read(84)
    return header[52:].split(b"\0")[0].decode("ascii", "replace") or "of an unknown version"


def first_line(error: Exception) -> str:
    """DuckDB's message without its picture of the statement. One that comes while rows stream is wrapped in another."""
    return str(error).rpartition("\nError: ")[2].strip().split("\n", 1)[0]
