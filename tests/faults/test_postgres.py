"""Rows 43, 51, 53, 54, 57, 61, 62, 64 of the fault matrix at the PostgreSQL door, against a real server."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psycopg
import pytest

from include.core.errors import CapmigError, PublishError, TransientError
from include.orchestration.home import airflow_home, environment
from include.orchestration.runner import run_once
from include.settings import load
from include.warehouse import postgres
from include.warehouse import publish as serving
from include.warehouse.keys import keys
from include.warehouse.suites import MARTS
from tests.conftest import capmig
from tests.postgres import Server, as_server_user, server

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 1, 23, 3, 7, tzinfo=UTC)
TYPES = {"VARCHAR": "text", "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "DATE": "date",
         "INTEGER": "integer", "BIGINT": "bigint", "BOOLEAN": "boolean"}  # fmt: skip
TABLES = ("marts.flow", "marts.rate", "ops.fct_publication")


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """One server for the file."""
    with server() as started:
        yield started


@pytest.fixture
def url(running: Server) -> Iterator[str]:
    """A database of the test's own, named by `url`'s last part, published into by a role that owns nothing else."""
    name = f"t{time.monotonic_ns()}"
    running.sql(f"create role {name} login createrole password '{running.password}'")
    running.sql(f"create database {name} owner {name}")
    yield running.url(name, running.password, name)
    running.sql(f"drop database {name} with (force)")


def put(home: Path, value: int, *, columns: str = "", rows: int = 20) -> serving.Publication:
    """Publish version `value` at `home`: every row of every table says so."""
    directory = home / "build" / str(value)
    directory.mkdir(parents=True)
    with duckdb.connect(str(directory / serving.FILE)) as con:
        con.execute("CREATE SCHEMA marts; CREATE SCHEMA ops")
        for name in ("marts.flow", "marts.rate"):
            con.execute(f"CREATE TABLE {name} AS SELECT {value}::BIGINT AS seq, i::INTEGER AS row_id, "
                        f"({value} * 1000 + i)::DECIMAL(38,18) AS ratio, 'ETF ' || i AS note {columns} "
                        f"FROM range({rows}) t(i)")  # fmt: skip
            con.execute(f"COMMENT ON TABLE {name} IS 'Grain: row. It''s {value}'")
            con.execute(f"COMMENT ON COLUMN {name}.ratio IS 'Of {value}'")
        con.execute(
            f"CREATE TABLE ops.fct_publication AS SELECT i AS seq, '{home.name}-' || i AS run_id FROM range(1, {value + 1}) t(i)"
        )
    return serving.publish(
        home, directory, seq=value, run_id=f"{home.name}-{value}", clock=AT, as_of=None, meta={}, keep=3
    )


def there(url: str) -> int:
    """The one version that every table shows, with no difference in any; else the test fails."""
    with psycopg.connect(url) as con:
        union = " union ".join(f"select {'max(seq)' if 'ops' in t else 'seq'} from {t}" for t in TABLES)
        ((seq,),) = con.execute(union).fetchall()
    return seq


def whole(url: str, wanted: int) -> bool:
    """Whether version `wanted` is served and nothing is left of a load."""
    with psycopg.connect(url) as con:
        left = con.execute("select count(*) from pg_namespace where nspname like '%\\_next'").fetchone()[0]
    return (there(url), left) == (wanted, 0)


def owner(url: str) -> str:
    """The role that a URL names."""
    return url.split("//")[1].split(":")[0]


# What arrives


@pytest.fixture(scope="module")
def pack(running: Server, pack_home: Path) -> Iterator[tuple[Path, str]]:
    """The bundled warehouse, published by the command as its user runs it."""
    running.sql("create database pack")
    url = running.url(database="pack")
    first = capmig(pack_home, "publish", "postgres", WAREHOUSE_POSTGRES_URL=url)
    assert (first.returncode, first.stdout, first.stderr) == (0, "published version 1\n", "")
    again = capmig(pack_home, "publish", "postgres", WAREHOUSE_POSTGRES_URL=url)
    assert (again.returncode, again.stdout) == (0, "nothing to do: PostgreSQL serves version 1\n")
    yield pack_home, url
    running.sql("drop database pack with (force)")


def test_types_and_comments_are_those_of_the_served_file(pack: tuple[Path, str]) -> None:
    """Every table and column of marts and ops, in order; decimals to the digit, and no float."""
    home, url = pack
    with duckdb.connect(str(serving.served_file(home)), read_only=True) as here, psycopg.connect(url) as con:
        tables = here.execute("select schema_name, table_name, comment from duckdb_tables() order by all").fetchall()
        columns = here.execute("select schema_name, table_name, column_name, data_type, comment from duckdb_columns() where not internal "
                               "order by schema_name, table_name, column_index").fetchall()  # fmt: skip
        found = con.execute(
            "select n.nspname, c.relname, obj_description(c.oid) from pg_class c join pg_namespace n "
            "on n.oid = relnamespace where relkind = 'r' and nspname in ('marts', 'ops') order by 1, 2"
        ).fetchall()
        said = con.execute(
            "select n.nspname, c.relname, attname, format_type(atttypid, atttypmod), col_description(c.oid, attnum) "
            "from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute on attrelid = c.oid "
            "where relkind = 'r' and attnum > 0 and nspname in ('marts', 'ops') "
            "order by nspname, relname, attnum").fetchall()  # fmt: skip
    assert found == tables and len(tables) > 20
    assert all(comment for *_, comment in tables + columns)
    assert said == [(s, t, c, TYPES.get(kind) or kind.lower().replace("decimal", "numeric"), comment)
                    for s, t, c, kind, comment in columns]  # fmt: skip
    assert sum(kind.startswith("numeric") for *_, kind, _ in said) > 40


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def test_every_figure_is_equal(pack: tuple[Path, str]) -> None:
    """Every cell of every table as two drivers read it: exact decimals, instants, absent ones."""
    home, url = pack
    compared = 0
    with duckdb.connect(str(serving.served_file(home)), read_only=True) as here, psycopg.connect(url) as con:
        here.execute("set timezone = 'UTC'")
        for schema, table in here.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            read = f"select * from {schema}.{table}"
            wanted, found = (
                Counter(tuple(map(_plain, row)) for row in rows.execute(read).fetchall()) for rows in (here, con)
            )
            assert found == wanted, table
            compared += wanted.total()
    assert compared > 50_000


def test_every_table_has_the_key_that_dbt_tests(pack: tuple[Path, str]) -> None:
    """One unique index each, on exactly those columns; the gate's keys are the same ones."""
    with psycopg.connect(pack[1]) as con:
        found = dict(con.execute(
            "select c.relname, (select array_agg(a.attname::text order by k.at) from unnest(i.indkey) with ordinality "
            "k(attnum, at) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum) from pg_class c "
            "join pg_namespace n on n.oid = relnamespace left join pg_index i on indrelid = c.oid and indisunique "
            "where relkind = 'r' and nspname in ('marts', 'ops')").fetchall())  # fmt: skip
    assert found == {table: list(keys()[table].columns) for table in found}
    for table, mart in MARTS.items():
        assert {c.removesuffix("?") for c in mart.key} == set(keys()[table].columns), table
        assert keys()[table].never_null == all(c[-1] != "?" for c in mart.key), table


def test_row_62_the_reader_role_reads_marts_and_ops_and_nothing_else(running: Server, url: str, tmp_path: Path) -> None:
    """Granted to a login role, with nothing more; a later version needs no new grant."""
    put(tmp_path, 1)
    running.sql("create schema private; create table private.t as select 1", "postgres", "", url.rsplit("/", 1)[1])
    postgres.publish(tmp_path, url)
    name = f"bi{time.monotonic_ns()}"
    running.sql(f"create role {name} login password 'x' in role {postgres.READER}")
    bi = running.url(name, "x", url.rsplit("/", 1)[1])
    put(tmp_path, 2, columns=", 1 AS added")
    postgres.publish(tmp_path, url)
    assert there(bi) == 2
    denied = ["insert into marts.flow (seq) values (1)", "update marts.flow set seq = 9", "delete from marts.rate",
              "truncate marts.flow", "drop table marts.flow", "create table marts.x (a int)", "create table public.x (a int)",
              "alter table marts.flow add column x int", "create schema x", "select * from private.t",
              "select * from pg_authid", "copy marts.flow to '/tmp/x'", "copy marts.flow to program 'id'",
              "select pg_read_file('/etc/passwd')", "comment on table marts.flow is 'x'",
              "create role x"]  # fmt: skip
    with psycopg.connect(bi, autocommit=True) as con:
        for statement in denied:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                con.execute(statement)
    assert there(bi) == 2


# Readers while it is published


def _read_until(url: str, stop: threading.Event, told: list, *, isolated: bool, pause: float) -> None:
    """Read versions until told to stop: in one transaction over several statements, or in one statement over a join."""
    reads, mixed, backward, last = 0, 0, 0, 0
    try:
        with psycopg.connect(url, autocommit=True) as con:
            while not stop.wait(pause):
                seen = set()
                if isolated:
                    with con.transaction():
                        con.execute("set transaction isolation level repeatable read")
                        for table in TABLES:
                            seen |= set(con.execute(f"select {'max(seq)' if 'ops' in table else 'seq'}, "
                                                    f"{'20' if 'ops' in table else 'count(*)'} from {table} "
                                                    f"{'' if 'ops' in table else 'group by seq'}").fetchall())  # fmt: skip
                else:
                    seen = set(con.execute("select f.seq, count(*) from marts.flow f full join marts.rate r "
                                           "using (seq, row_id) full join (select max(seq) as seq from "
                                           "ops.fct_publication) p on p.seq = f.seq group by f.seq").fetchall())  # fmt: skip
                reads += 1
                mixed += len(seen) != 1 or {n for _, n in seen} != {20}
                newest = max((seq or 0) for seq, _ in seen) if seen else 0
                backward += newest < last
                last = newest
        told.append((reads, mixed, backward, ""))
    except psycopg.Error as error:
        told.append((reads, mixed, backward, str(error)))


def publish_under_readers(url: str, home: Path, pause: float = 0) -> tuple[list[float], list[tuple]]:
    """200 publishes under three readers, every 40th with other columns: seconds of each, and (reads, mixed, backward,
    error) of each reader, which reads on after `pause` seconds."""
    put(home, 1)
    postgres.publish(home, url)
    stop, told, spent = threading.Event(), [], []
    readers = [
        threading.Thread(target=_read_until, args=(url, stop, told), kwargs={"isolated": n < 2, "pause": pause})
        for n in range(3)
    ]
    for reader in readers:
        reader.start()
    try:
        for value in range(2, 202):
            kind = ("INTEGER", "DECIMAL(18,8)")[value // 80 % 2]
            put(home, value, columns=f", {value}::{kind} AS added" if value // 40 % 2 else "")
            start = time.monotonic()
            assert postgres.publish(home, url) == (value, True)
            spent.append(time.monotonic() - start)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    return spent, told


@pytest.mark.timeout(400)
def test_row_53_three_readers_see_whole_versions_while_200_are_published(url: str, tmp_path: Path) -> None:
    """No error, nothing mixed, nothing backward; every 40th version changes columns under the readers, which leave the
    publisher some of the processor: some 300 reads a version."""
    _, told = publish_under_readers(url, tmp_path, pause=0.001)
    assert [t[1:] for t in told] == [(0, 0, "")] * 3
    assert sum(t[0] for t in told) >= 1000
    assert whole(url, 201)


def test_row_54_a_long_transaction_keeps_its_version_and_nobody_waits(url: str, tmp_path: Path) -> None:
    """A publish goes on beside it; it reads on from its snapshot, also what it had not read before, or it sees the new."""
    put(tmp_path, 1)
    postgres.publish(tmp_path, url)
    with psycopg.connect(url) as held, psycopg.connect(url) as fresh:
        held.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert held.execute("select distinct seq from marts.flow").fetchall() == [(1,)]
        assert fresh.execute("select distinct seq from marts.flow").fetchall() == [(1,)]
        for value in (2, 3):
            put(tmp_path, value)
            start = time.monotonic()
            postgres.publish(tmp_path, url)
            assert time.monotonic() - start < 5
            assert there(url) == value
        assert held.execute("select distinct seq from marts.rate").fetchall() == [(1,)]
        assert held.execute("select distinct seq from marts.flow").fetchall() == [(1,)]
        assert fresh.execute("select distinct seq from marts.rate").fetchall() == [(3,)]


def test_a_change_of_columns_waits_for_a_reader_and_gives_up(url: str, tmp_path: Path, monkeypatch) -> None:
    """The publisher does not hang; the reader goes on; others wait half a second at most; then it gets through."""
    monkeypatch.setattr(postgres, "PAUSES_S", (0.3, 0.3))
    put(tmp_path, 1)
    postgres.publish(tmp_path, url)
    waits: list[float] = []
    stop = threading.Event()

    def look() -> None:
        with psycopg.connect(url, autocommit=True) as con:
            while not stop.is_set():
                start = time.monotonic()
                con.execute("select count(*) from marts.flow")
                waits.append(time.monotonic() - start)

    other = threading.Thread(target=look)
    put(tmp_path, 2, columns=", 7 AS added")
    with psycopg.connect(url, application_name="dashboard") as held:
        assert held.execute("select max(seq) from marts.flow").fetchone() == (1,)
        other.start()
        start = time.monotonic()
        with pytest.raises(TransientError, match=r"columns changed, and \w+ \(dashboard, pid \d+\) .*") as refused:
            postgres.publish(tmp_path, url)
        assert time.monotonic() - start < 10
        assert held.execute("select max(seq) from marts.rate").fetchone() == (1,)
        stop.set()
        other.join()
    assert refused.value.rule == "postgres.blocked"
    assert 0.2 < max(waits) < postgres.TRY_S + 1
    assert there(url) == 1
    assert postgres.publish(tmp_path, url) == (2, True)
    assert whole(url, 2)


def test_views_grants_and_indexes_that_people_made_stay(url: str, tmp_path: Path) -> None:
    """Through new rows and a new column; a column that a view reads is not taken from it."""
    put(tmp_path, 1, columns=", 1 AS more")
    postgres.publish(tmp_path, url)
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("create schema mine; create view mine.v as select seq, more from marts.flow")
        con.execute("create index mine_idx on marts.flow (note); grant select on marts.flow to public")
        put(tmp_path, 2, columns=", 2 AS more, 3 AS added")
        postgres.publish(tmp_path, url)
        assert con.execute("select distinct seq, more from mine.v").fetchall() == [(2, 2)]
        assert con.execute("select added from marts.flow limit 1").fetchone() == (3,)
        assert con.execute("select indexrelname from pg_stat_user_indexes where relname = 'flow'").fetchall() == [
            ("mine_idx",)
        ]
        assert con.execute("select has_table_privilege('public', 'marts.flow', 'select')").fetchone() == (True,)
        assert con.execute("select obj_description('marts.flow'::regclass), col_description('marts.flow'::regclass, 3)"
                           ).fetchone() == ("Grain: row. It's 2", "Of 2")  # fmt: skip
        put(tmp_path, 3)
        with pytest.raises(PublishError, match=r"view mine.v depends on column more .*") as refused:
            postgres.publish(tmp_path, url)
        assert refused.value.rule == "postgres.dependent"
        assert there(url) == 2
        con.execute("drop view mine.v")
    assert postgres.publish(tmp_path, url) == (3, True)


# Faults


def _publish(home: Path, url: str, queue=None) -> None:
    try:
        said = postgres.publish(home, url)
    except CapmigError as error:
        said = f"{type(error).__name__} {error.exit_code} {error}"
    if queue is not None:
        queue.put(said)


def _meanwhile(home: Path, url: str, act) -> str:
    """What a publish in another process says when `act(con, pid)` strikes while it loads."""
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue()
    child = context.Process(target=_publish, args=(home, url, queue))
    with psycopg.connect(url, autocommit=True) as con:
        child.start()
        loading = "select pid from pg_stat_activity where query ilike 'copy %%_next%%' and pid <> pg_backend_pid()"
        until = time.monotonic() + 60
        while not (found := con.execute(loading).fetchone()):
            assert child.is_alive() and time.monotonic() < until, queue.get()
        act(con, found[0], child)
    said = "" if child.exitcode else queue.get(timeout=60)
    child.join(60)
    return said


def _one_line(said: str, canary: str) -> bool:
    return "\n" not in said and " -> " in said and canary not in said


def test_row_48_whatever_dies_while_it_loads_the_old_version_stays(running: Server, url: str, tmp_path: Path) -> None:
    """The load's connection, the publisher's own, the publisher, the server: then the next publish is through."""
    put(tmp_path, 1)
    postgres.publish(tmp_path, url)
    put(tmp_path, 2, rows=500_000)
    ours = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'capmig' and datname = current_database()"
    for strike in (
        lambda con, pid, _: con.execute("select pg_terminate_backend(%s)", [pid]),
        lambda con, *_: con.execute(ours),
    ):
        said = _meanwhile(tmp_path, url, strike)
        assert "TransientError 1 postgres: " in said and _one_line(said, running.password), said
        assert there(url) == 1

    def kill(con, pid, child) -> None:
        child.kill()
        child.join()

    _meanwhile(tmp_path, url, kill)
    assert there(url) == 1

    said = _meanwhile(tmp_path, url, lambda *_: running.kill())
    assert "TransientError 1 postgres: " in said and _one_line(said, running.password), said
    time.sleep(0.5)
    said = _said(tmp_path, url)
    assert "[postgres.connect]" in said and _one_line(said, running.password), said
    _restart(running)
    assert there(url) == 1
    assert postgres.publish(tmp_path, url) == (2, True)
    assert whole(url, 2)


def _said(home: Path, url: str) -> str:
    with pytest.raises(CapmigError) as refused:
        postgres.publish(home, url)
    return str(refused.value)


def _restart(running: Server) -> None:
    """Start again once the orphans of a killed postmaster have gone."""
    for _ in range(100):
        try:
            return running.start()
        except RuntimeError:
            time.sleep(0.1)
    raise AssertionError((running.directory / "log").read_text())


def test_row_43_a_full_disk_on_the_server(running: Server, url: str, tmp_path: Path) -> None:
    """No file may grow beyond 4 MB: the load fails in one line, the old version stays, and the next one is through."""
    put(tmp_path, 1)
    postgres.publish(tmp_path, url)
    put(tmp_path, 2, rows=200_000)
    limit = [*as_server_user(), "prlimit", "--pid", str(running.process.pid)]
    subprocess.run([*limit, "--fsize=4194304:unlimited"], check=True)
    try:
        said = _said(tmp_path, url)
    finally:
        subprocess.run([*limit, "--fsize=unlimited:unlimited"], check=True)
    assert _one_line(said, running.password) and "could not extend file" in said, said
    assert there(url) == 1
    assert postgres.publish(tmp_path, url) == (2, True)
    assert whole(url, 2)


def test_row_51_of_four_publishers_at_once_one_loads(url: str, tmp_path: Path) -> None:
    """The others wait their turn and find nothing to do."""
    put(tmp_path, 1)
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue()
    tries = [context.Process(target=_publish, args=(tmp_path, url, queue)) for _ in range(4)]
    for one in tries:
        one.start()
    said = [queue.get(timeout=60) for _ in tries]
    for one in tries:
        one.join()
    assert sorted(said) == [(1, False)] * 3 + [(1, True)]
    assert whole(url, 1)


def test_a_publisher_that_waits_too_long_says_so(url: str, tmp_path: Path, monkeypatch) -> None:
    """The lock is another session's."""
    monkeypatch.setattr(postgres, "LOCK_WAIT_S", 1)
    put(tmp_path, 1)
    with psycopg.connect(url) as con:
        con.execute("select pg_advisory_lock(%s)", [postgres.LOCK_ID])
        assert "another publish has been running for 1 s [postgres.locked]" in _said(tmp_path, url)


def test_a_rollback_is_followed_and_another_warehouse_is_refused(url: str, tmp_path: Path) -> None:
    """An older version arrives by `capmig rollback` alone: not from a copy that knows less, nor from elsewhere."""
    home, behind, other = tmp_path / "home", tmp_path / "behind", tmp_path / "other"
    put(home, 1)
    postgres.publish(home, url)
    shutil.copytree(home, behind)
    put(home, 2)
    postgres.publish(home, url)
    assert "version 2 is served there (run home-2), which this warehouse has not made [postgres.foreign]" in _said(
        behind, url
    )
    assert there(url) == 2
    serving.rollback(home)
    assert postgres.publish(home, url) == (1, True)
    assert there(url) == 1
    put(home, 3)
    assert postgres.publish(home, url) == (3, True)
    put(other, 7)
    assert "[postgres.foreign]" in _said(other, url)
    assert whole(url, 3)


def test_tables_that_are_not_ours_are_left_alone(url: str, tmp_path: Path) -> None:
    """A schema `marts` of somebody else's is not taken over."""
    put(tmp_path, 1)
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("create schema marts; create table marts.theirs as select 1 as a")
        assert "marts.theirs is there, and no publication of ours [postgres.foreign]" in _said(tmp_path, url)
        assert con.execute("select a from marts.theirs").fetchone() == (1,)


def test_a_float_is_refused_before_anything_is_written(url: str, tmp_path: Path) -> None:
    """Types without an exact counterpart are named."""
    put(tmp_path, 1)
    postgres.publish(tmp_path, url)
    put(tmp_path, 2, columns=", 1.5::DOUBLE AS score")
    assert "marts.flow.score is DOUBLE [postgres.type]" in _said(tmp_path, url)
    assert whole(url, 1)


def test_rights_are_asked_for_in_one_line(running: Server, url: str, tmp_path: Path) -> None:
    """A role that may neither make schemas nor roles."""
    put(tmp_path, 1)
    name = f"poor{time.monotonic_ns()}"
    running.sql(f"create role {name} login password '{running.password}'")
    said = _said(tmp_path, running.url(name, running.password, url.rsplit("/", 1)[1]))
    assert "permission denied" in said and "[postgres.rights]" in said and _one_line(said, running.password)


def test_a_server_that_is_too_old_or_not_in_unicode_is_refused(
    running: Server, url: str, tmp_path: Path, monkeypatch
) -> None:
    """Both before anything is written."""
    put(tmp_path, 1)
    name = f"latin{time.monotonic_ns()}"
    running.sql(f"create database {name} encoding 'LATIN1' template template0")
    assert "encoding is LATIN1 [postgres.encoding]" in _said(tmp_path, running.url(database=name))
    monkeypatch.setattr(postgres, "OLDEST", 990000)
    assert "this is PostgreSQL 15." in (said := _said(tmp_path, url)) and "use PostgreSQL 99 or newer" in said


CANARY = "s3cr3t-canary'%2F-0123456789"
WRONG = [
    ("", "config.postgres", "is not set"),
    (f"mysql://u:{CANARY}@127.0.0.1/d", "config.postgres", "not a connection URL"),
    (f"{CANARY}", "config.postgres", "not a connection URL"),
    (f"postgresql://u:{CANARY}@127.0.0.1:PORT/d?nonsense={CANARY}", "config.postgres", "not a connection URL"),
    (f"postgresql://u:{CANARY}@127.0.0.1:PORT", "config.postgres", "names no dbname"),
    (f"postgresql://postgres:{CANARY}@127.0.0.1:PORT/postgres", "postgres.refused", "password authentication failed"),
    (f"host=127.0.0.1 port=PORT user=nobody password={CANARY[:13]} dbname=postgres", "postgres.refused", "nobody"),
    ("postgresql://postgres:RIGHT@127.0.0.1:PORT/nowhere", "postgres.refused", 'database "nowhere" does not exist'),
    ("postgresql://postgres@127.0.0.1:PORT/postgres", "postgres.refused", "password"),
    (f"postgresql://postgres:{CANARY}@127.0.0.1:1/postgres", "postgres.connect", "Connection refused"),
    (f"postgresql://postgres:{CANARY}@127.0.0.1:PORT/postgres?sslmode=require", "postgres.connect", "SSL"),
    ("postgresql://capmig:changeme@warehouse.example.org/capmig", "config.weak_password", "less than 16 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "rule", "told"), WRONG)
def test_rows_57_61_and_64_a_wrong_url_is_one_line_without_its_secret(
    running: Server, tmp_path: Path, wrong: str, rule: str, told: str
) -> None:
    """By the command, exit code 1 or 2, and no trace."""
    put(tmp_path, 1)
    url = wrong.replace("PORT", str(running.port)).replace("RIGHT", running.password)
    done = capmig(tmp_path, "publish", "postgres", WAREHOUSE_POSTGRES_URL=url, PGPASSFILE="/nonexistent")
    assert done.returncode == (1 if rule == "postgres.connect" else 2)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert f"[{rule}] -> " in done.stderr and told in done.stderr, done.stderr
    for secret in (CANARY, CANARY[:13], "changeme", running.password):
        assert secret not in done.stderr


def test_a_publish_target_is_postgres_and_comes_alone(tmp_path: Path) -> None:
    """Nothing else is known, and a release goes with a build."""
    for args in (["mysql"], ["postgres", "--ack", "1"]):
        done = capmig(tmp_path, "publish", *args)
        assert done.returncode == 2 and "[cli.target]" in done.stderr and done.stderr.count("\n") == 1


# Airflow


def _tasks(home: Path, url_file: Path | None) -> dict[str, dict]:
    """The tasks of build_warehouse as Airflow parses it."""
    env = environment(load().model_copy(update={"warehouse_home": home}))
    read, write = os.pipe()
    done = subprocess.run([sys.executable, "-m", "tests.dags.describe", str(ROOT / "dags"), str(write)], cwd=ROOT,
                          env=env | ({"WAREHOUSE_POSTGRES_URL_FILE": str(url_file)} if url_file else {}),
                          pass_fds=[write], capture_output=True, text=True)  # fmt: skip
    os.close(write)
    assert done.returncode == 0, done.stderr[-2000:]
    with os.fdopen(read) as answer:
        return {t["task_id"]: t for t in json.load(answer)["dags"]["build_warehouse"]["tasks"]}


def test_the_task_exists_only_where_a_server_is_named(tmp_path: Path) -> None:
    """Last, after publish, outside the pool. The secret's file is not read while DAGs are parsed: it need not be there."""
    without, named = _tasks(tmp_path, None), _tasks(tmp_path, tmp_path / "absent")
    assert named.keys() - without.keys() == {"publish_postgres"}
    task = named["publish_postgres"]
    assert task["upstream"] == ["publish"] and task["pool"] != "warehouse"
    assert not [t for t in named.values() if "publish_postgres" in t["upstream"]]
    assert task["retries"] == 2 and task["owner"] == "data-platform"


@pytest.mark.timeout(900)
def test_the_last_task_makes_up_for_what_postgresql_missed(
    running: Server, url: str, pack_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has changed, so nothing is built; the server is behind, so the task brings it the served version."""
    home, told = tmp_path / "home", []
    subprocess.run(["/bin/cp", "-a", str(pack_home), str(home)], check=True)
    (held := tmp_path / "url").write_text(url)
    monkeypatch.setenv("WAREHOUSE_HOME", str(home))
    monkeypatch.setenv("WAREHOUSE_POSTGRES_URL_FILE", str(held))
    assert run_once(load(), progress=told.append, only=("build_warehouse",)) == {"build_warehouse": "success"}
    assert told[-1] == "build_warehouse.publish_postgres" and "build_warehouse.publish" not in told
    with psycopg.connect(url) as con:
        assert con.execute("select max(seq) from ops.fct_publication").fetchone() == (1,)
    kept = b"".join(p.read_bytes() for p in airflow_home(load()).rglob("*") if p.is_file())
    assert len(kept) > 10_000 and running.password.encode() not in kept
