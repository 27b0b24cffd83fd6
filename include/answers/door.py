"""The researcher's door: a locked warehouse file from Python; answers as exact Arrow, pandas, polars or plain rows."""

import re
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from include.answers import reader
from include.core.clock import iso
from include.core.duckfile import first_line
from include.core.errors import CapmigError

if TYPE_CHECKING:
    import pandas
    import polars

_TABLE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


class Answer:
    """The whole answer of one statement, in memory. Decimals are exact in every form; a DOUBLE asked for stays one."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {', '.join(self._table.column_names)}>"

    def arrow(self) -> pa.Table:
        """As Arrow: decimal128, timestamps in UTC."""
        return self._table

    def pandas(self) -> "pandas.DataFrame":
        """As a pandas frame of Arrow-backed columns, so that decimals stay decimals and NULL stays NULL."""
        frames = _package("pandas")
        return self._table.to_pandas(types_mapper=frames.ArrowDtype)

    def polars(self) -> "polars.DataFrame":
        """As a polars frame with `Decimal` columns. Raises `CapmigError` where polars is not installed."""
        return _package("polars").from_arrow(self._table)

    def rows(self) -> list[dict[str, Any]]:
        """As one dictionary a row: `Decimal`, aware `datetime` in UTC, `date`, `None`."""
        return self._table.to_pylist()


class Door:
    """A published warehouse, or one built as of an instant, read-only and locked. Close it, or use it in a `with`.

    An open door keeps the version that it opened, however many are published meanwhile; open another to read the
    newest. It reads the file and nothing else: no other file, no network, no write. One thread at a time.

    `as_of`  the cut-off: nothing in here became known later
    `seq`    the version that is read; None for a warehouse built as of an instant
    `age`    how long before the run's clock the cut-off lies
    """

    def __init__(self, path: Path, *, clock: datetime, as_of: datetime | None = None):
        self._con = reader.connect(path)
        self.path, self.seq, self.as_of = path, None, as_of
        if as_of is None:
            try:
                self.seq, self.as_of = reader.served(self._con)
            except BaseException:
                self.close()
                raise
        self.age: timedelta = clock - self.as_of

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"version {self.seq}" if self.seq is not None else "built as of an instant"
        return f"<warehouse {what}, as known at {iso(self.as_of)}, age {self.age}>"

    def close(self) -> None:
        """Let the file go. Answers stay."""
        self._con.close()

    def sql(self, query: str, **params: Any) -> Answer:
        """The answer of one SELECT; `$name` in it stands for the keyword of that name.

        Raises `CapmigError`, one line, for anything else, for two columns of one name, and once the door is closed.
        """
        return Answer(_table(reader.query(self._con, query, params)))

    def table(self, name: str) -> Answer:
        """A whole table: `mart_decision_feature`, `ops.fct_publication`; `marts` where no schema is named."""
        if not _TABLE.fullmatch(name):
            raise reader.refusal(f"{name[:60]!r} is not the name of a table", "sql.table", "see `show all tables`")
        return self.sql(f"from {name if '.' in name else f'marts.{name}'}")


def _table(cursor: duckdb.DuckDBPyConnection) -> pa.Table:
    reader.names_apart(cursor)
    try:
        return cursor.to_arrow_table()
    except duckdb.Error as error:
        raise reader.refusal(first_line(error), "sql.refused") from None


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise CapmigError(f"{name} is not installed", source="sql", rule="sql.package",
                          action=f"install {name}, or ask for .arrow() or .rows()") from None  # fmt: skip
