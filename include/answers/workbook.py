"""An answer as an Excel workbook: the rows on one sheet; what was asked, of which version and of whom, on another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import duckdb
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from include.answers import reader
from include.core.clock import iso
from include.core.duckfile import first_line

MAX_ROWS, MAX_TEXT = 1_048_575, 32_767  # below the header; Excel's own limits
EXACT_DIGITS = 15  # what a double, which is all that a number cell can hold, gives back of any decimal
FIRST_DAY = date(1900, 3, 1)  # before it, Excel counts a day that never was
_SOURCE, _GRADE = re.compile(r"(\w+_)?source_ids?"), re.compile(r"(\w+_)?grade")
_SCALE = re.compile(r"DECIMAL\(\d+,(\d+)\)")


@dataclass(slots=True)
class Asked:
    """What an answer is an answer to. `seq` is None for a warehouse built as of an instant."""

    query: str
    seq: int | None
    as_of: datetime
    clock: datetime  # of the warehouse, when it was asked
    grades: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)


def write(con: duckdb.DuckDBPyConnection, asked: Asked, out: BinaryIO) -> None:
    """Ask `con` and write the sheets `answer` and `about`. Nothing in it is a formula or a link.

    A number is a number cell where a double is exact (up to 15 digits), else text with every digit; a day is a date
    cell, an instant text in UTC. Raises `CapmigError` where Excel could not hold the answer whole.
    """
    cursor = reader.query(con, asked.query)
    names, kinds = reader.names_apart(cursor), [str(column[1]) for column in cursor.description]
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": "Capital Migration Warehouse", "created": asked.clock.replace(tzinfo=None)})
    bold = book.add_format({"bold": True})
    sheet, about = book.add_worksheet("answer"), book.add_worksheet("about")
    sheet.freeze_panes(1, 0)
    for column, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        sheet.set_column(column, column, max(12, min(40, len(name) + 2)), _format(book, kind))
        _text(sheet, 0, column, name, bold)
    try:
        for n_row, row in enumerate(reader.rows_of(cursor), 1):
            if n_row > MAX_ROWS:
                raise reader.refusal(f"more than {MAX_ROWS:,} rows, and a sheet holds no more", "sql.xlsx_rows",
                                     "narrow the statement, or use --format parquet")  # fmt: skip
            for column, value in enumerate(row):
                _cell(sheet, n_row, column, value)
            _note(asked, names, row)
    except duckdb.Error as error:
        raise reader.refused(error) from None
    for n_row, (label, *said) in enumerate(_about(con, asked, names)):
        _text(about, n_row, 0, label, bold)
        for column, text in enumerate(said, 1):
            _text(about, n_row, column, text)
    about.set_column(0, 0, 22)
    about.set_column(1, 4, 60)
    book.close()


def _format(book: xlsxwriter.Workbook, kind: str) -> Format | None:
    """The declared scale as decimal places, where it is one that people read."""
    scale = _SCALE.fullmatch(kind)
    if scale and 0 < int(scale[1]) <= 4:
        return book.add_format({"num_format": "#,##0." + "0" * int(scale[1]), "align": "right"})
    if kind == "DATE":
        return book.add_format({"num_format": "yyyy-mm-dd"})
    return book.add_format({"align": "right"}) if scale else None


def _cell(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif _fits(value):
        sheet.write_number(row, column, value)
    elif isinstance(value, date) and not isinstance(value, datetime) and value >= FIRST_DAY:
        sheet.write_datetime(row, column, value)
    else:
        _text(sheet, row, column, reader.plain_text(value))


def _fits(value: Any) -> bool:
    """Whether a number cell holds it: digits count from the first that is not zero to the last that is not."""
    if isinstance(value, float):
        return value - value == 0
    if not isinstance(value, int | Decimal):
        return False
    digits = reader.plain_text(Decimal(value)).lstrip("-0.").replace(".", "")
    return len(digits) <= EXACT_DIGITS


def _text(sheet: Worksheet, row: int, column: int, text: str, style: Format | None = None) -> None:
    if len(text) > MAX_TEXT:
        raise reader.refusal(f"a text of {len(text):,} characters, and a cell holds {MAX_TEXT:,}", "sql.xlsx_text",
                             "leave the column out, or use --format parquet")  # fmt: skip
    sheet.write_string(row, column, text, style)


def _note(asked: Asked, names: list[str], row: tuple) -> None:
    """Remember the grades and sources that a row names."""
    for name, value in zip(names, row, strict=True):
        if isinstance(value, str) and _GRADE.fullmatch(name):
            asked.grades.add(value)
        elif isinstance(value, str) and _SOURCE.fullmatch(name):
            asked.sources |= set(value.split(", "))


def _about(con: duckdb.DuckDBPyConnection, asked: Asked, names: list[str]) -> Iterator[tuple[str, ...]]:
    """The rows of the second sheet: a label and what is said."""
    for start in range(0, len(asked.query), MAX_TEXT):
        yield "query" if not start else "", asked.query[start : start + MAX_TEXT]
    yield "as known at", iso(asked.as_of)
    yield "version", str(asked.seq) if asked.seq is not None else "built as known at that instant"
    yield "asked at", f"{iso(asked.clock)} by the warehouse's clock"
    graded = any(_GRADE.fullmatch(name) for name in names)
    yield "grades", ", ".join(sorted(asked.grades)) if graded else "the answer has no column of grades"
    meaning = "select max(comment) from duckdb_columns() where database_name = 'warehouse' and column_name = 'grade'"
    yield "", reader.query(con, meaning).fetchone()[0] or ""
    named = any(_SOURCE.fullmatch(name) for name in names)
    sources = asked.sources if named else _sources_read(con, asked.query)
    yield "sources", "named in the answer" if named else "of the tables read", "licence", "credit", "address"
    listed = reader.query(con, "select source_id, title, licence, credit, base_url from marts.dim_source "
                               "where list_contains($ids, source_id) order by source_id",
                          {"ids": sorted(sources)})  # fmt: skip
    for row in listed.fetchall():
        yield tuple(text or "" for text in row)


def _sources_read(con: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Every source that stands behind a row of the tables that a statement reads."""
    try:
        tables = con.get_table_names(sql, qualified=True)
    except duckdb.Error as error:
        raise reader.refusal(first_line(error), "sql.refused") from None
    found: set[str] = set()
    columns = reader.query(con, "select schema_name || '.' || table_name, column_name from duckdb_columns() "
                                "where database_name = 'warehouse'").fetchall()  # fmt: skip
    for table, column in columns:
        if table in {name.replace('"', "").removeprefix("warehouse.").lower() for name in tables} and (
            _SOURCE.fullmatch(column)
        ):
            rows = reader.query(con, f"select distinct {column} from {table} where {column} is not null").fetchall()
            found |= {source for (said,) in rows for source in said.split(", ")}
    return found
