"""Reading a published warehouse: a locked connection, one question within a limit, and its answer in exact forms."""

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypeVar

import duckdb

from include.core.duckfile import attach, first_line
from include.core.errors import CapmigError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "csv", "json")  # as text; `write_parquet` and `workbook.write` make files
LIMIT_S, LIMIT_ROWS = 300, 10_000
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_BATCH, _PARQUET_ROWS = 2000, 100_000
_NUMERIC = re.compile(r"[+-]?[\d.,]+%?")
_TICK_S, _PATIENCE_S = 0.1, 2
_INTERRUPTED = "sql.interrupted"
T = TypeVar("T")


def connect(path: Path, *, memory_limit: str = "1GB", threads: int = 1) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a warehouse file that can reach nothing else and cannot be widened again.

    Times are UTC. Raises `CapmigError` if there is no file, `IntegrityError` if it cannot be read.
    """
    con = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory_limit,
            "threads": threads,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
        },
    )
    try:
        attach(con, Path(path), "warehouse")
        con.execute("USE warehouse")
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = true")  # counted, so that it can be asked for, and never drawn
        con.execute("SET enable_progress_bar_print = false")
        con.execute("SET enable_external_access = false")
        con.execute("SET disabled_filesystems = 'LocalFileSystem'")
        con.execute("SET lock_configuration = true")
    except BaseException:
        con.close()
        raise
    return con


def query(
    con: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Run one SELECT (or EXPLAIN, DESCRIBE, SHOW) and return its cursor; anything else is refused with one line.

    `$name` in the statement stands for the value of that name in `params`.
    """
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in sql):  # after a NUL the engine would read no further
        raise refusal("the statement holds a NUL character, or bytes that are not UTF-8", "sql.refused")
    try:
        statements = con.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in _READS:
            raise refusal("one SELECT at a time is answered here", "sql.read_only")
        return con.execute(statements[0], dict(params or {}))
    except duckdb.Error as error:
        raise refused(error) from None


def served(con: duckdb.DuckDBPyConnection) -> tuple[int, datetime]:
    """The version that a published file is, and its cut-off."""
    return query(con, "select seq, cutoff_at from ops.fct_publication order by seq desc limit 1").fetchone()


def within(
    con: duckdb.DuckDBPyConnection, seconds: float, work: Callable[[TextIO], T], *, out: TextIO, line: TextIO
) -> T:
    """What `work`, which asks `con` and writes to the `out` it is given, returns; stopped after `seconds` or by Ctrl-C.

    Who waits at a terminal for more than two seconds sees the time spent, and the share done where it is known, on
    `line`. The connection stays usable. Raises `CapmigError` naming the limit; `KeyboardInterrupt` once it has stopped.
    """
    started, late, told = monotonic(), False, _Waiting(out, line)
    with ThreadPoolExecutor(1) as pool:  # the engine holds the thread that asks; this one hears the keyboard
        running = pool.submit(work, told)
        try:
            while wait([running], _TICK_S).not_done:
                spent = monotonic() - started
                late = late or spent > seconds
                if late:
                    con.interrupt()  # again and again: it may come between two batches
                else:
                    told.tell(spent, con.query_progress())
            return running.result()
        except CapmigError as error:
            if late and error.rule == _INTERRUPTED:
                raise refusal(f"no whole answer after {seconds:g} s, the limit", "sql.limit_seconds",
                              "narrow the statement, or raise --limit-seconds") from None  # fmt: skip
            raise
        finally:
            while not running.done():  # whatever ends the waiting, a second Ctrl-C too, it is not left to run
                with suppress(KeyboardInterrupt):
                    con.interrupt()
                    wait([running], _TICK_S)
            told.wipe()


class _Waiting:
    """An output that wipes the moving line before the answer's first word."""

    def __init__(self, out: TextIO, line: TextIO):
        self._out, self._line, self._moving = out, line, False
        self._answering = not line.isatty()

    def tell(self, spent: float, percent: float) -> None:
        if spent > _PATIENCE_S and not self._answering:
            self._moving = True
            self._line.write(f"\r\033[K{spent:6.1f}s" + (f"  {percent:.0f} %" if percent > 0 else "  asking"))
            self._line.flush()

    def wipe(self) -> None:
        self._answering = True
        if self._moving:
            self._moving = False
            self._line.write("\r\033[K")
            self._line.flush()

    def write(self, text: str) -> int:
        self.wipe()
        return self._out.write(text)

    def flush(self) -> None:
        self._out.flush()

    def isatty(self) -> bool:
        return self._out.isatty()


def write(cursor: duckdb.DuckDBPyConnection, fmt: str, out: TextIO, *, limit_rows: int = 0) -> None:
    """Write an answer to `out` as `table`, `csv` or `json`, and nothing else.

    A table of more than `limit_rows` rows (0: no limit) shows that many and says how many there are.

    Exact in every format: decimals are written out, never as floats and without trailing zeros; timestamps as
    ISO 8601 in UTC with `Z`, dates as ISO dates. NULL is `null` in JSON, nothing in CSV, an empty cell in a table.
    In CSV, text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    if fmt not in FORMATS:
        raise refusal(f"no format {fmt}", "sql.format", f"use one of {', '.join(FORMATS)}")
    try:
        if fmt == "table":
            _write_table(cursor, out, limit_rows)
        else:
            {"csv": _write_csv, "json": rows_as_json}[fmt](cursor, out)
    except duckdb.Error as error:
        raise refused(error) from None


def write_parquet(cursor: duckdb.DuckDBPyConnection, out: BinaryIO) -> None:
    """Write an answer as one Parquet file, a batch at a time: decimals exact, instants in UTC."""
    import pyarrow as pa
    import pyarrow.parquet as pq  # takes long to import, and few need it

    names_apart(cursor)
    batches = cursor.to_arrow_reader(_PARQUET_ROWS)
    if odd := [field.name for field in batches.schema if isinstance(field.type, pa.BaseExtensionType)]:
        raise refusal(f"Parquet has no type for {odd[0]}", "sql.parquet", "cast the column to VARCHAR")
    try:
        with pq.ParquetWriter(out, batches.schema, compression="zstd") as file:
            while batch := _next(batches):
                file.write_batch(batch)
    except pa.ArrowNotImplementedError as error:
        raise refusal(first_line(error), "sql.parquet", "cast the column to VARCHAR") from None


def _next(batches: "pa.RecordBatchReader") -> "pa.RecordBatch | None":
    try:
        return next(batches, None)
    except OSError as error:  # what DuckDB says on the way comes through Arrow, as this
        raise refused(error) from None


def rows_as_json(cursor: duckdb.DuckDBPyConnection, out: TextIO) -> None:
    """Write one JSON array of row objects, a row a line."""
    names = names_apart(cursor)
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    separator = "[\n"
    for row in rows_of(cursor):
        out.write(separator + "{" + ", ".join(f"{k}: {_json(v)}" for k, v in zip(keys, row, strict=True)) + "}")
        separator = ",\n"
    out.write("[]\n" if separator == "[\n" else "\n]\n")


def _write_csv(cursor: duckdb.DuckDBPyConnection, out: TextIO) -> None:
    shown = _printable if out.isatty() else str
    for row in chain([_names(cursor)], rows_of(cursor)):
        out.write(shown(",".join(map(_csv_cell, row))) + "\n")


def _csv_cell(value: Any) -> str:
    # The csv module writes None and "" alike; absent and empty are two things.
    if value is None:
        return ""
    text = plain_text(value)
    if isinstance(value, str):
        if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMERIC.fullmatch(text):
            text = "'" + text
        if text == "":
            return '""'
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _write_table(cursor: duckdb.DuckDBPyConnection, out: TextIO, limit_rows: int) -> None:
    numbers = {
        place
        for place, column in enumerate(cursor.description)
        if any(word in str(column[1]) for word in ("NUMBER", "DECIMAL", "INT", "DOUBLE", "FLOAT"))
    }
    n_rows = print_table(_names(cursor), rows_of(cursor), out, numbers=numbers, limit_rows=limit_rows)
    said = f"{n_rows} row{'' if n_rows == 1 else 's'}"
    if 0 < limit_rows < n_rows:
        said += f", of which the first {limit_rows} are shown: --limit-rows 0 shows all, --format csv writes all"
    out.write(said + "\n")


def print_table(
    names: Iterable[str], rows: Iterable[tuple], out: TextIO, *, numbers: Container[int] = (), limit_rows: int = 0
) -> int:
    """Draw rows, the first `limit_rows` of them (0: all); how many there are. `numbers`: columns, by place."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(Text(_printable(name)), justify="right" if place in numbers else "left", overflow="fold")
    n_rows = 0
    for row in rows:
        n_rows += 1
        if n_rows <= limit_rows or not limit_rows:
            table.add_row(*(Text("" if v is None else _printable(plain_text(v))) for v in row))
    Console(file=out, width=None if out.isatty() else 100_000).print(table)
    return n_rows


def _names(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in cursor.description]


def names_apart(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of an answer's columns, where the form needs them to differ."""
    names = _names(cursor)
    if len(set(names)) != len(names):
        raise refusal("two columns have one name", "sql.columns", "name them apart with AS")
    return names


def rows_of(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple]:
    """An answer's rows, a batch at a time."""
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _json(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value - value != 0:
        raise refusal("JSON has no NaN and no infinity", "sql.not_finite", "cast the column to VARCHAR")
    if isinstance(value, int | float | Decimal):
        return plain_text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(plain_text(k), ensure_ascii=False)}: {_json(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(plain_text(value), ensure_ascii=False)


def plain_text(value: Any) -> str:
    """A value as text, exact: no exponent, no trailing zeros, instants in UTC with `Z`."""
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return _json(value) if isinstance(value, list | tuple | dict | bool) else str(value)


def _printable(text: str) -> str:
    """Text without the control characters by which a payload could steer a terminal."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def refusal(message: str, rule: str, action: str = "correct the statement; `capmig sql` reads and never writes"):
    """The error of a question that is not answered. What the engine quotes cannot steer the terminal."""
    return CapmigError(_printable(message), source="sql", rule=rule, action=action)


def refused(error: Exception) -> CapmigError:
    """What the engine says, as the error of a question that is not answered."""
    said = first_line(error)
    return refusal(said, _INTERRUPTED if said.startswith("INTERRUPT") else "sql.refused")
