"""Reading a published warehouse: a locked connection, one question, and its answer as a table, CSV or exact JSON."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import duckdb

from include.core.duckfile import attach, first_line
from include.core.errors import CapmigError

FORMATS = ("table", "csv", "json")
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_BATCH = 2000
_NUMERIC = re.compile(r"[+-]?[\d.,]+%?")


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
        con.execute("SET enable_progress_bar = false")
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
        raise refusal(first_line(error), "sql.refused") from None


def write(cursor: duckdb.DuckDBPyConnection, fmt: str, out: TextIO) -> None:
    """Write an answer to `out` as `table`, `csv` or `json`, and nothing else.

    Exact in every format: decimals are written out, never as floats and without trailing zeros; timestamps as
    ISO 8601 in UTC with `Z`, dates as ISO dates. NULL is `null` in JSON, nothing in CSV, an empty cell in a table.
    In CSV, text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    try:
        {"table": _write_table, "csv": _write_csv, "json": rows_as_json}[fmt](cursor, out)
    except KeyError:
        raise refusal(f"no format {fmt}", "sql.format", f"use one of {', '.join(FORMATS)}") from None
    except duckdb.Error as error:
        raise refusal(first_line(error), "sql.refused") from None


def rows_as_json(cursor: duckdb.DuckDBPyConnection, out: TextIO) -> None:
    """Write one JSON array of row objects, a row a line."""
    names = _names(cursor)
    if len(set(names)) != len(names):
        raise refusal("two columns have one name", "sql.columns", "name them apart with AS")
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    separator = "[\n"
    for row in _rows(cursor):
        out.write(separator + "{" + ", ".join(f"{k}: {_json(v)}" for k, v in zip(keys, row, strict=True)) + "}")
        separator = ",\n"
    out.write("[]\n" if separator == "[\n" else "\n]\n")


def _write_csv(cursor: duckdb.DuckDBPyConnection, out: TextIO) -> None:
    out.write(",".join(map(_csv_cell, _names(cursor))) + "\n")
    for row in _rows(cursor):
        out.write(",".join(map(_csv_cell, row)) + "\n")


def _csv_cell(value: Any) -> str:
    # The csv module writes None and "" alike; absent and empty are two things.
    if value is None:
        return ""
    text = _text(value)
    if isinstance(value, str):
        if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMERIC.fullmatch(text):
            text = "'" + text
        if text == "":
            return '""'
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def _write_table(cursor: duckdb.DuckDBPyConnection, out: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, kind in zip(_names(cursor), [str(c[1]) for c in cursor.description], strict=True):
        number = any(word in kind for word in ("NUMBER", "DECIMAL", "INT", "DOUBLE", "FLOAT"))
        table.add_column(Text(_printable(name)), justify="right" if number else "left", overflow="fold")
    for row in _rows(cursor):
        table.add_row(*(Text("" if v is None else _printable(_text(v))) for v in row))
    console = Console(file=out, width=None if out.isatty() else 100_000)
    console.print(table)
    console.print(Text(f"{table.row_count} row{'' if table.row_count == 1 else 's'}"))


def _names(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in cursor.description]


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple]:
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _json(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value - value != 0:
        raise refusal("JSON has no NaN and no infinity", "sql.not_finite", "cast the column to VARCHAR")
    if isinstance(value, int | float | Decimal):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(_text(k), ensure_ascii=False)}: {_json(v)}" for k, v in value.items()) + "}"
        )
    return json.dumps(_text(value), ensure_ascii=False)


def _text(value: Any) -> str:
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
    return CapmigError(message, source="sql", rule=rule, action=action)
