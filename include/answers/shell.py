"""The interactive door: SQL until `;` against the locked file, with history, completion and a few dot commands."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import duckdb
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from include.answers import reader
from include.core.clock import parse_instant
from include.core.errors import CapmigError

HELP = """\
SQL may take several lines and ends with `;`. It reads this file and nothing else.
.tables            every table: rows, and what a row is
.describe TABLE    its columns: type and meaning
.asof T            the warehouse as known at T (2026-01-23T03:07Z); without T what is served now
.mode FORMAT       table, csv or json; `capmig sql --output FILE` writes Parquet and Excel
.help  .quit       Ctrl-C stops a query, Ctrl-D leaves
"""
_TABLES = """
select schema_name || '.' || table_name as name, estimated_size as n_rows, comment as one_row_is
from duckdb_tables() where database_name = 'warehouse' order by schema_name, table_name
"""
_COLUMNS = """
select column_name, data_type, comment as meaning from duckdb_columns()
where database_name = 'warehouse' and schema_name = $schema and table_name = $table order by column_index
"""
_WORD = re.compile(r"[A-Za-z0-9_.]+")


@dataclass
class Shell:
    """A session at a terminal. `reach` gives the file for an instant, "" for what is served."""

    reach: Callable[[str], Path]
    history: Path
    out: TextIO
    line: TextIO
    fmt: str = "table"
    limit_s: float = reader.LIMIT_S
    limit_rows: int = reader.LIMIT_ROWS
    as_of: str = ""
    con: duckdb.DuckDBPyConnection | None = None
    file: Path | None = None
    inode: int = 0  # of the file that is open; a publish puts another one under its name
    prompt: str = ""
    names: "Names" = field(default_factory=lambda: Names([], {}, []))

    def run(self) -> None:
        """Ask and answer until Ctrl-D or `.quit`. Raises `CapmigError` only where there is no file to begin with."""
        self._open(self.as_of)
        session = PromptSession(
            history=_history(self.history, self.out), completer=_Words(self), complete_while_typing=False,
            multiline=Condition(lambda: not is_complete(get_app().current_buffer.text)),
            prompt_continuation=lambda width, *_: " " * max(0, width - 3) + "-> ",
        )  # fmt: skip
        self.out.write("`.help` tells the commands; SQL ends with `;`\n")
        try:
            while True:
                self._tell_newer()
                try:
                    text = session.prompt(lambda: self.prompt)
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return
                if text.strip() in (".quit", ".exit"):
                    return
                self.answer(text.strip())
        finally:
            self.con.close()

    def answer(self, text: str) -> None:
        """One command or statement. What goes wrong is one line, and the session goes on."""
        try:
            if text.startswith("."):
                self._command(*text.rstrip(";").split(maxsplit=1))
            elif text.strip("; \n"):
                self._answer(text, {}, self.fmt)
        except CapmigError as error:
            self.out.write(f"{error}\n")
        except KeyboardInterrupt:
            self.out.write("sql: stopped [sql.stopped] -> the session goes on; Ctrl-D leaves\n")
        self.out.flush()

    def _command(self, name: str, rest: str = "") -> None:
        rest = rest.strip()
        if name == ".help":
            self.out.write(HELP)
        elif name == ".tables":
            self._answer(_TABLES, {}, "table")
        elif name == ".describe" and rest:
            self._describe(rest.lower())
        elif name == ".asof":
            self._open(rest)
        elif name == ".mode" and rest in reader.FORMATS:
            self.fmt = rest
        else:
            raise reader.refusal(f"no command {name[:20]} {rest[:60]}".rstrip(), "sql.command", "see .help")

    def _describe(self, table: str) -> None:
        schema, _, name = table.rpartition(".")
        schema = schema or "marts"
        if f"{schema}.{name}" not in self.names.tables:
            raise reader.refusal(f"no table {table[:60]}", "sql.table", "see .tables")
        self._answer(_COLUMNS, {"schema": schema, "table": name}, "table")

    def _answer(self, sql: str, params: dict, fmt: str) -> None:
        def work(out: TextIO) -> None:
            reader.write(reader.query(self.con, sql, params), fmt, out, limit_rows=self.limit_rows)

        reader.within(self.con, self.limit_s, work, out=self.out, line=self.line)

    def _open(self, as_of: str) -> None:
        """Turn to another file; the old one stays open until the new one is."""
        file = self.reach(as_of)
        inode = file.stat().st_ino
        con = reader.connect(file)
        try:
            if as_of:
                named = f"as known at {parse_instant(as_of):%Y-%m-%d %H:%M}Z"
            else:
                seq, cutoff = reader.served(con)
                named = f"v{seq}, {cutoff:%Y-%m-%d %H:%M}Z"
            self.names = Names.of(con)
        except BaseException:
            con.close()
            raise
        if self.con:
            self.con.close()
        self.con, self.file, self.inode, self.as_of, self.prompt = con, file, inode, as_of, f"{named}> "

    def _tell_newer(self) -> None:
        """Say once that another version is served by now."""
        with suppress(OSError):
            if (inode := self.file.stat().st_ino) != self.inode:
                self.inode = inode
                self.out.write("another version has been published: `.asof` reads it\n")


@dataclass(frozen=True, slots=True)
class Names:
    """What can be completed: keywords, tables as `schema.table`, and their columns."""

    keywords: list[str]
    columns: dict[str, list[str]]
    tables: list[str]

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection) -> "Names":
        """The names in a file."""
        columns: dict[str, list[str]] = {}
        listed = reader.query(con, "select schema_name || '.' || table_name, column_name from duckdb_columns() "
                                   "where database_name = 'warehouse' order by all")  # fmt: skip
        for table, column in listed.fetchall():
            columns.setdefault(table, []).append(column)
        keywords = reader.query(con, "select keyword_name from duckdb_keywords() order by 1").fetchall()
        return cls([word for (word,) in keywords], columns, list(columns))

    def after(self, text: str, word: str) -> Iterator[str]:
        """Completions of `word`, the end of what has been typed, in a statement or command `text`."""
        low = word.lower()
        bare = {table.partition(".")[2]: table for table in self.tables}
        tables = [t for t in self.tables if t.startswith(low)] + [bare[b] for b in bare if low and b.startswith(low)]
        if text.lstrip().startswith("."):
            first, _, argument = text.lstrip().partition(" ")
            if first == ".describe":
                yield from tables
            elif first == ".mode":
                yield from (f for f in reader.FORMATS if f.startswith(low))
            elif not argument:
                yield from (
                    c for c in (".asof", ".describe", ".help", ".mode", ".quit", ".tables") if c.startswith(low)
                )
            return
        alias, dot, start = low.rpartition(".")
        said = {w.lower().rstrip(".") for w in _WORD.findall(text)}
        named = [t for t in self.tables if {t, t.partition(".")[2]} & said]
        if alias not in {t.partition(".")[0] for t in self.tables}:
            columns = dict.fromkeys(c for t in named or self.tables for c in self.columns[t] if c.startswith(start))
            yield from (word[: len(alias)] + dot + column for column in columns)
        yield from dict.fromkeys(tables)
        yield from (k.upper() if word.isupper() else k for k in self.keywords if low and k.startswith(low))


class _Words(Completer):
    """Names of the file that is open now, completed by Tab."""

    def __init__(self, shell: Shell):
        self.shell = shell

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        found = re.search(r"[A-Za-z0-9_.]*$", document.text_before_cursor)
        word = found[0] if found else ""
        for text in self.shell.names.after(document.text, word):
            yield Completion(text, start_position=-len(word))


def is_complete(text: str) -> bool:
    """Whether Enter sends it: a dot command, nothing, or SQL whose last token is `;` (not in a text or a comment)."""
    if not text.strip() or text.lstrip().startswith("."):
        return True
    clean = text.encode(errors="replace")  # keys that are no UTF-8: refused when it is asked
    tokens = duckdb.tokenize(clean.decode())
    return bool(tokens) and tokens[-1][1] == duckdb.token_type.operator and clean[tokens[-1][0] :][:1] == b";"


def _history(path: Path, out: TextIO) -> History:
    """The statements of earlier sessions, readable by their owner alone."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        path.chmod(0o600)
    except OSError as error:
        out.write(f"sql: no history at {path}: {error.strerror} [sql.history] -> this session keeps none\n")
        return InMemoryHistory()
    return _File(str(path))


class _File(FileHistory):
    """A history that a full disk makes forgetful, and the session goes on."""

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)
