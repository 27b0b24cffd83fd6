"""Publish into PostgreSQL, the door for BI tools: the served version's tables in the schemas `marts` and `ops`.

A version is loaded into `marts_next` and `ops_next`, given its keys and comments, and read back cell by cell. Then one
transaction exchanges the rows of every table, so that a reader, also one in the middle of a transaction, sees one
version: its snapshot's. Rows are exchanged, not schema names: each statement looks a name up anew, and a transaction
that has begun would find the old rows of one table, and of the next one the new or none. So nobody waits, and the
grants, indexes and views that people made stay. Only a table that changes its columns must be free of readers for a
moment; a publish waits for that half a second at a time, and gives up in the end with the old version in place.
"""

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import duckdb
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import scalar_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from include.core.duckfile import attach, first_line
from include.core.errors import CapmigError, ConfigError, PublishError, TransientError
from include.settings import POSTGRES_KEY as KEY
from include.settings import is_loopback
from include.warehouse import publish as serving
from include.warehouse.keys import keys

READER = "capmig_reader"
OLDEST, LOCK_ID = 150000, 0x6361706D6967  # `unique nulls not distinct` came with 15; the letters of capmig
LOCK_WAIT_S, TRY_S, PAUSES_S = 60, 0.5, (0.2, 0.5, 1, 2, 2, 4, 4, 8, 8)
_TYPES = {"VARCHAR": "text", "TIMESTAMP WITH TIME ZONE": "timestamptz", "DATE": "date", "INTEGER": "integer",
          "BIGINT": "bigint", "BOOLEAN": "boolean"}  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\((\d+,\d+)\)")
# A peer that is gone is noticed; neither side's defaults cut a load short.
_CONNECTION = {"application_name": "capmig", "connect_timeout": "10", "keepalives_idle": "30", "keepalives_count": "3",
               "keepalives_interval": "10", "options": "-c idle_session_timeout=0 -c statement_timeout=0"}  # fmt: skip
_NOW_DOING = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots")


@dataclass(slots=True)
class Table:
    """A table of the version: `columns` are (name, PostgreSQL type, comment)."""

    schema: str
    name: str
    comment: str | None
    columns: list[tuple[str, str, str | None]] = field(default_factory=list)

    def at(self, suffix: str = "") -> Identifier:
        """Its name in PostgreSQL; with "_next", while it is being loaded."""
        return Identifier(f"{self.schema}{suffix}", self.name)


def publish(home: Path, url: str) -> tuple[int, bool]:
    """Make PostgreSQL at `url` serve the version that `home` serves. Returns its number, and False if it did already.

    Whatever fails, the version that PostgreSQL served before stays whole, and another try starts afresh. Raises
    `ConfigError` for a connection that is refused, `TransientError` for what may pass (no server, a lost connection, a
    full disk, a reader that stays in the way), else `PublishError`: no rights, an old server, a float, a table
    that is not of this warehouse, a version there that this warehouse has not made.
    """
    target = _target(url)
    with _reported(target), _connect(target) as con:
        _check_server(con)
        _lock(con)
        # Read under the lock: a publisher that comes late loads what is served by then, and brings back nothing.
        served = serving.current(home)
        if served is None:
            raise PublishError("nothing has been published yet", rule="serve.empty", action="run `capmig run` first")
        if _newest_there(con) == (served.seq, served.run_id):
            return served.seq, False
        _refuse_foreign(con, home, served)
        tables = _load(con, target, served.path / serving.FILE)
        _exchange(con, tables)
        _tidy(con, tables)
        return served.seq, True


# The server, and whose it is


def _target(url: str) -> dict[str, str]:
    """The connection's parameters; `ConfigError` that never shows the value."""
    if not url:
        raise ConfigError(f"{KEY} is not set", rule="config.postgres",
                          action=f"set it, or {KEY}_FILE: postgresql://user:password@host:5432/database")  # fmt: skip
    try:
        said = conninfo_to_dict(url)
    except psycopg.Error:
        said = {}
    missing = [part for part in ("host", "user", "dbname") if not said.get(part)]
    if missing:
        raise ConfigError(f"{KEY} is not a connection URL, or names no {', '.join(missing)}", rule="config.postgres",
                          action="write postgresql://user:password@host:5432/database")  # fmt: skip
    host, password = str(said["host"]), str(said.get("password", ""))
    local = host.startswith("/") or is_loopback(f"//[{host}]" if ":" in host else f"//{host}")
    if "password" in said and not local and len(password) < 16:
        raise ConfigError(f"the password in {KEY} has less than 16 characters, and the server is another host",
                          rule="config.weak_password", action="give the role a generated one")  # fmt: skip
    return _CONNECTION | {name: str(value) for name, value in said.items()}


@contextmanager
def _connect(target: dict[str, str]) -> Iterator[psycopg.Connection]:
    try:
        con = psycopg.connect(**target, autocommit=True)
    except psycopg.Error as error:
        said = _line(error, target)
        if ("FATAL" in said or "no password" in said) and not any(word in said for word in _NOW_DOING):
            raise ConfigError(said, rule="postgres.refused",
                              action=f"correct {KEY}, or let its user into the database") from None  # fmt: skip
        raise TransientError(said, rule="postgres.connect",
                             action=f"start the server, or correct {KEY}, and run again") from None  # fmt: skip
    with con:
        yield con


def _check_server(con: psycopg.Connection) -> None:
    if con.info.server_version < OLDEST:
        raise PublishError(f"this is PostgreSQL {con.info.parameter_status('server_version')}", rule="postgres.version",
                           action=f"use PostgreSQL {OLDEST // 10000} or newer")  # fmt: skip
    if (encoding := con.info.parameter_status("server_encoding")) != "UTF8":
        raise PublishError(f"the database's encoding is {encoding}", rule="postgres.encoding",
                           action="create one with encoding 'UTF8'")  # fmt: skip


def _lock(con: psycopg.Connection) -> None:
    """One publisher at a time, for as long as the connection lasts."""
    con.execute(f"set lock_timeout = '{LOCK_WAIT_S}s'")
    try:
        con.execute("select pg_advisory_lock(%s)", [LOCK_ID])
    except errors.LockNotAvailable:
        raise TransientError(f"another publish has been running for {LOCK_WAIT_S} s", rule="postgres.locked",
                             action="wait for it, or end it, and run again") from None  # fmt: skip


def _newest_there(con: psycopg.Connection) -> tuple[int, str] | None:
    """(seq, run_id) of the version that PostgreSQL serves, by its own record."""
    try:
        return con.execute("select seq, run_id from ops.fct_publication order by seq desc limit 1").fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return None


def _refuse_foreign(con: psycopg.Connection, home: Path, served: serving.Publication) -> None:
    """Neither another warehouse's tables are replaced nor a version that is newer than any of ours."""
    there = _newest_there(con)
    if there is None:
        cursor = con.cursor(row_factory=scalar_row)
        cursor.execute(
            "select format('%%I.%%I', n.nspname, c.relname) from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1 limit 1",
            [list(serving.SCHEMAS)],
        )
        if found := cursor.fetchone():
            raise PublishError(f"{found} is there, and no publication of ours", rule="postgres.foreign",
                               action="give the warehouse a database of its own")  # fmt: skip
        return
    if there in {(p.seq, p.run_id) for p in serving.versions(home)}:
        return
    with closing(duckdb.connect()) as duck:
        attach(duck, served.path / serving.FILE, "served")
        earlier = duck.execute("select seq, run_id from served.ops.fct_publication").fetchall()
    if there not in earlier:
        raise PublishError(f"version {there[0]} is served there (run {there[1]}), which this warehouse has not made",
                           rule="postgres.foreign",
                           action="give each warehouse a database of its own; to hand this one over, "
                           "rename its schemas marts and ops")  # fmt: skip


# Load


def _load(con: psycopg.Connection, target: dict[str, str], file: Path) -> list[Table]:
    """Fill the next schemas from a version's file and prove them equal to it. Returns the tables."""
    with _engine() as duck:
        attach(duck, file, "served")
        tables = _tables(duck)
        with con.transaction():
            _create(con, tables)
        reach = dict(target)
        if password := reach.pop("password", ""):
            duck.execute(f"create or replace temporary secret pass (type postgres, password {_quoted(password)})")
        where = _quoted(make_conninfo(**reach))
        for schema in serving.SCHEMAS:
            duck.execute(f"attach {where} as pg_{schema} (type postgres, schema '{schema}_next'"
                         f"{', secret pass' if password else ''})")  # fmt: skip
        for table in tables:
            _copy(duck, table)
    with con.transaction():
        for table in tables:
            con.execute(_key_of(table, "_next"))
    return tables


@cache
def _loaded() -> duckdb.DuckDBPyConnection:
    """DuckDB with the extension, once a process: to load it takes longer than to publish a small version."""
    extension = files("duckdb_extension_postgres_scanner") / f"extensions/v{duckdb.__version__}"
    con = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "1GB"})
    con.execute(f"load {_quoted(str(extension / 'postgres_scanner.duckdb_extension'))}")
    return con


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with nothing attached, and nothing left attached."""
    with closing(_loaded().cursor()) as duck:
        try:
            yield duck
        finally:
            for name in ("served", *(f"pg_{schema}" for schema in serving.SCHEMAS)):
                duck.execute(f"detach database if exists {name}")
            duck.execute("drop secret if exists pass")


def _tables(duck: duckdb.DuckDBPyConnection) -> list[Table]:
    """The version's tables; a type that has no exact counterpart is refused."""
    found: dict[tuple[str, str], Table] = {}
    for schema, name, comment in duck.execute(
        "select schema_name, table_name, comment from duckdb_tables() where database_name = 'served' order by all"
    ).fetchall():
        found[schema, name] = Table(schema, name, comment)
    for schema, name, column, kind, comment in duck.execute(
        "select schema_name, table_name, column_name, data_type, comment from duckdb_columns() "
        "where database_name = 'served' order by schema_name, table_name, column_index"
    ).fetchall():
        exact = _DECIMAL.fullmatch(kind)
        if exact is None and kind not in _TYPES:
            raise PublishError(f"{schema}.{name}.{column} is {kind}", rule="postgres.type",
                               action="cast it in the model: money and ratios to DECIMAL")  # fmt: skip
        found[schema, name].columns.append((column, f"numeric({exact[1]})" if exact else _TYPES[kind], comment))
    return list(found.values())


def _create(con: psycopg.Connection, tables: list[Table]) -> None:
    """Empty next schemas; what a publish that died has left goes."""
    if not con.execute("select 1 from pg_roles where rolname = %s", [READER]).fetchone():
        con.execute(f"create role {READER} nologin")
    _drop_next(con)
    for schema in serving.SCHEMAS:
        con.execute(f"create schema {schema}_next")
    for table in tables:
        columns = SQL(", ").join(SQL("{} {}").format(Identifier(c), SQL(kind)) for c, kind, _ in table.columns)
        con.execute(SQL("create table {} ({})").format(table.at("_next"), columns))
        _comment(con, table, "_next")


def _drop_next(con: psycopg.Connection) -> None:
    con.execute("; ".join(f"drop schema if exists {schema}_next cascade" for schema in serving.SCHEMAS))


def _comment(con: psycopg.Connection, table: Table, suffix: str = "") -> None:
    said = [SQL("comment on table {} is {}").format(table.at(suffix), Literal(table.comment))]
    said += [
        SQL("comment on column {}.{} is {}").format(table.at(suffix), Identifier(column), Literal(comment))
        for column, _, comment in table.columns
    ]
    con.execute(SQL("; ").join(said))


def _copy(duck: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Copy a table in bulk, then compare count and content of what PostgreSQL gives back."""
    here, there = f'served."{table.schema}"."{table.name}"', f'pg_{table.schema}."{table.schema}_next"."{table.name}"'
    duck.execute(f"insert into {there} select * from {here} order by all")
    wanted, found = (
        duck.execute(f"select count(*), sum(hash(t)::hugeint) from {one} t").fetchone() for one in (here, there)
    )
    if wanted != found:
        raise PublishError(f"{table.schema}.{table.name} came back as {found[0]} rows of {wanted[0]}, or other values",
                           rule="postgres.unequal", action="run again; if it stays so, report it")  # fmt: skip


def _key_of(table: Table, suffix: str = "") -> Composed:
    """The key as a constraint, by whose name `_SHAPES` finds it; then the planner's statistics."""
    key = keys().get(table.name)
    if key is None or not set(key.columns) <= {column for column, *_ in table.columns}:
        return SQL("analyze {}").format(table.at(suffix))
    return SQL("alter table {0} add constraint {1} {2} ({3}); analyze {0}").format(
        table.at(suffix), Identifier(f"{table.name}_key"),
        SQL("primary key" if key.never_null else "unique nulls not distinct"),
        SQL(", ").join(map(Identifier, key.columns)),
    )  # fmt: skip


# Exchange

_SHAPES = """
select n.nspname, c.relname, jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)),
    (select pg_get_constraintdef(k.oid) from pg_constraint k
     where k.conrelid = c.oid and k.conname = c.relname || '_key'),
    jsonb_build_array(obj_description(c.oid, 'pg_class'), jsonb_object_agg(a.attname, col_description(c.oid, a.attnum)))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind = 'r' and n.nspname = any(%s)
group by n.nspname, c.oid, c.relname
"""


class Shape(NamedTuple):
    """A table as the server describes it: types by column, the key, and what is said of table and columns."""

    columns: dict[str, str]
    key: str | None
    comments: list


def _exchange(con: psycopg.Connection, tables: list[Table]) -> None:
    """Put the loaded version in place in one transaction, trying again while somebody is in the way."""
    for pause in (*PAUSES_S, None):
        try:
            with con.transaction():
                _exchange_once(con, tables)
            return
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected):
            if pause is None:
                raise TransientError(
                    f"columns changed, and {_in_the_way(con)} has been holding the table", rule="postgres.blocked",
                    action="end that transaction and run again; the old version stays",
                ) from None  # fmt: skip
            time.sleep(pause)


def _exchange_once(con: psycopg.Connection, tables: list[Table]) -> None:
    schemas = [f"{schema}{suffix}" for schema in serving.SCHEMAS for suffix in ("", "_next")]
    found = {(row[0], row[1]): Shape(*row[2:]) for row in con.execute(_SHAPES, [schemas]).fetchall()}
    there = {at: shape for at, shape in found.items() if at[0] in serving.SCHEMAS}
    coming = {(t.schema, t.name): found[f"{t.schema}_next", t.name] for t in tables}
    gone = [Identifier(*at) for at in there if at not in coming]
    changed = [t for t in tables if (at := (t.schema, t.name)) in there and there[at][:2] != coming[at][:2]]
    con.execute(f"set local lock_timeout = '{TRY_S}s'")
    con.execute("; ".join(f"create schema if not exists {schema}" for schema in serving.SCHEMAS))
    for table in tables:
        if (table.schema, table.name) not in there:
            con.execute(SQL("alter table {} set schema {}").format(table.at("_next"), Identifier(table.schema)))
        elif table not in changed:
            _refill(con, table)
    if gone or changed:
        _lock_out_readers(con, [*gone, *(table.at() for table in changed)])
    if gone:
        con.execute(SQL("drop table {}").format(SQL(", ").join(gone)))
    for table in changed:
        _alter(con, table, there[table.schema, table.name].columns)
        _refill(con, table)
        con.execute(_key_of(table))
    for table in tables:
        at = (table.schema, table.name)
        if table in changed or (at in there and there[at].comments != coming[at].comments):
            _comment(con, table)
    both = ", ".join(serving.SCHEMAS)
    con.execute(f"grant usage on schema {both} to {READER}; grant select on all tables in schema {both} to {READER}")


def _refill(con: psycopg.Connection, table: Table) -> None:
    columns = SQL(", ").join(Identifier(column) for column, *_ in table.columns)
    con.execute(
        SQL("delete from {0}; insert into {0} ({2}) select {2} from {1}").format(table.at(), table.at("_next"), columns)
    )


def _alter(con: psycopg.Connection, table: Table, was: dict[str, str]) -> None:
    """Give a table its new columns. None is rewritten: to a snapshot from before, its rows stay, the new cells NULL."""
    becomes = {column: kind for column, kind, _ in table.columns}
    kept = [column for column in was if becomes.get(column) == was[column]]
    steps = [SQL("drop constraint if exists {}").format(Identifier(f"{table.name}_key"))]
    steps += [SQL("drop column {}").format(Identifier(column)) for column in was if column not in kept]
    steps += [SQL("alter column {} drop not null").format(Identifier(column)) for column in kept]
    steps += [
        SQL("add column {} {}").format(Identifier(column), SQL(kind))
        for column, kind in becomes.items()
        if column not in kept
    ]
    for step in steps:
        con.execute(SQL("alter table {} {}").format(table.at(), step))


def _lock_out_readers(con: psycopg.Connection, tables: list[Identifier]) -> None:
    """Wait until nobody reads these tables. Readers who come meanwhile wait as long, and no longer.

    In one statement, which ends before the server looks for deadlocks (a second): where a reader has one of the tables
    and wants another, the reader wins. It is bounded as a whole, not table by table.
    """
    con.execute(f"set local statement_timeout = '{TRY_S}s'")
    con.execute(SQL("lock table {} in access exclusive mode").format(SQL(", ").join(tables)))
    con.execute("set local statement_timeout = 0")


def _in_the_way(con: psycopg.Connection) -> str:
    """Who holds a lock on a published table."""
    found = con.execute(
        "select a.usename, a.application_name, a.pid from pg_locks l join pg_class c on c.oid = l.relation "
        "join pg_stat_activity a on a.pid = l.pid where c.relnamespace = any(%s::regnamespace[]) "
        "and l.pid <> pg_backend_pid() order by a.xact_start limit 1",
        [list(serving.SCHEMAS)],
    ).fetchone()
    return f"{found[0]} ({found[1] or 'no application name'}, pid {found[2]})" if found else "somebody"


def _tidy(con: psycopg.Connection, tables: list[Table]) -> None:
    """Drop what is left of the load, and give back the room of the rows that were exchanged."""
    _drop_next(con)
    names = SQL(", ").join(table.at() for table in tables)
    con.execute(SQL("vacuum (analyze, truncate false, skip_locked) {}").format(names))


# What is told


@contextmanager
def _reported(target: dict[str, str]) -> Iterator[None]:
    """Every failure of the server or of the load as one line without a secret."""
    try:
        yield
    except CapmigError as error:
        raise type(error)(error.message, source="postgres", rule=error.rule, action=error.action) from None
    except (psycopg.Error, duckdb.Error) as error:
        kind, rule, action = _meaning(error)
        raise kind(_line(error, target), source="postgres", rule=rule, action=action) from None


def _meaning(error: Exception) -> tuple[type[CapmigError], str, str]:
    kept = "run again; the version that was served there stays"
    if isinstance(error, errors.InsufficientPrivilege):
        return PublishError, "postgres.rights", (f"an administrator runs `create role {READER} nologin` and "
                                                 "`grant create on database` for this user")  # fmt: skip
    if isinstance(error, errors.DependentObjectsStillExist):
        return PublishError, "postgres.dependent", "drop that view, publish, and make it again: the table changed"
    if isinstance(error, errors.UniqueViolation):
        return PublishError, "postgres.key", "the key in the model's YAML and the table disagree: build again"
    if isinstance(error, duckdb.Error):
        return TransientError, "postgres.load", kept
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return TransientError, "postgres.lost", kept
    return PublishError, "postgres.server", kept


def _line(error: Exception, target: dict[str, str]) -> str:
    """The error in one line of at most 300 characters. The password is taken out, should a driver ever quote it."""
    if isinstance(error, duckdb.Error):
        said = first_line(error)
    else:
        primary = error.diag.message_primary
        said = ": ".join(filter(None, (primary, error.diag.message_detail))) if primary else str(error)
    for secret in {form(target["password"]) for form in (str, quote, _quoted)} if target.get("password") else ():
        said = said.replace(secret, "***")
    return " ".join(said.split())[:300]


def _quoted(text: str) -> str:
    """A literal of DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"
