"""Eight readers of one published version: the served file beside an indexed PostgreSQL that the same version was
published into. And publishes under readers, at both doors.

A version-grained fact of 50 MB is published by the warehouse's own commands into both. Eight readers, a process each
with one connection a door that stays open (one thread each), ask a dashboard's aggregates at each door in turn, in
slices of a second, so that what else the machine does falls on both alike. The ratio is that of CPU seconds a question,
with those of the server's processes; rates and waits stand beside it.
"""

import multiprocessing
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import psutil
import psycopg

from include import connect
from include.warehouse import postgres
from include.warehouse import publish as serving
from tests.faults import test_postgres, test_publish
from tests.postgres import Server, server

READERS, SLICE_S, SLICES, ROWS = 8, 1.0, 3, 640_000
DOORS = ["the served file", "PostgreSQL"]
AT = datetime(2026, 1, 31, tzinfo=UTC)
SERIES, DAYS, FIRST = 200, 1000, date(2023, 5, 1)

# A dashboard's aggregates: $series, $day and $at are drawn anew for each question.
QUESTIONS = {
    "months of a series": """
        select date_trunc('month', event_date) as month, sum(value) as total, count(*) as n
        from marts.fct_observation where series_id = {series} and known_to is null group by 1 order by 1""",
    "a month of every series": """
        select source_id, sum(value) as total, min(value) as low, max(value) as high, count(*) as n
        from marts.fct_observation where event_date between {day} and {until} and known_to is null
        group by 1 order by 1""",
    "a quarter as known at an instant": """
        select series_id, sum(value) as total, count(*) as n from marts.fct_observation
        where event_date between {day} and {quarter} and known_from <= {at} and (known_to is null or {at} < known_to)
        group by 1 order by 1""",
    "every source, all days": """
        select source_id, count(*) as n, sum(value) as total, max(known_from) as newest
        from marts.fct_observation where known_to is null group by 1 order by 1""",
}


@dataclass(slots=True)
class Took:
    """What one kind of question took at one door: CPU and wall seconds, and the seconds that each waited."""

    cpu: float = 0.0
    wall: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        """CPU seconds a question."""
        return self.cpu / len(self.waits)


def make(home: Path, rows: int = ROWS) -> float:
    """Publish versions of `SERIES` series, one to four a cell, with the payload of each. Returns the file's MB."""
    directory = home / "build" / "readers"
    directory.mkdir(parents=True)
    with duckdb.connect(str(directory / serving.FILE)) as con:
        con.execute("set TimeZone = 'UTC'; set disabled_compression_methods = 'bitpacking'")  # as dbt's profile has it
        con.execute("create schema marts; create schema ops")
        con.execute(
            """
            create table marts.fct_observation as
            select 'ETF_FLOW.S' || lpad((cell % $series)::varchar, 3, '0') as series_id,
                $first::date + (cell // $series)::int as event_date, null::timestamptz as event_at,
                'source_' || cell % $series % 9 as source_id, n + 1 as version_no,
                ((hash(cell, n) % 2000000000)::bigint - 1000000000)::decimal(38, 18) as value, 'final' as obs_status,
                ($first::date + (cell // $series)::int)::timestamptz + to_hours(22 + 9 * n::int) as known_from,
                case when n < (hash(cell) % 4)::int
                    then ($first::date + (cell // $series)::int)::timestamptz + to_hours(31 + 9 * n::int) end as known_to,
                sha256(cell::varchar || n) as payload_sha256
            from range($rows * 2 // 5) as cells (cell), range(4) as numbers (n)
            where n <= (hash(cell) % 4)::int
            order by event_date, series_id, version_no""",
            {"series": SERIES, "first": FIRST, "rows": rows},
        )
        con.execute("create table ops.fct_publication as select 1 as seq, 'readers' as run_id, $1::timestamptz as cutoff_at",
                    [AT])  # fmt: skip
    serving.publish(home, directory, seq=1, run_id="readers", clock=AT, as_of=None, meta={}, keep=3)
    return serving.served_file(home).stat().st_size / 1e6


def question(template: str, chance: random.Random) -> str:
    """The next statement of a kind."""
    day = FIRST + timedelta(days=chance.randrange(DAYS - 100))
    said = {"series": f"ETF_FLOW.S{chance.randrange(SERIES):03d}", "day": day, "until": day + timedelta(days=30),
            "quarter": day + timedelta(days=90), "at": f"{day + timedelta(days=60)} 12:00:00+00"}  # fmt: skip
    return template.format(**{key: f"'{value}'" for key, value in said.items()})


def _reader(number: int, home: Path, url: str, pipe: Connection) -> None:
    """A reader's process: its two connections stay open. Told (door, kind, seconds), it asks for so long, and answers
    with the seconds that each question waited and its CPU seconds."""
    with connect(home=home) as file, psycopg.connect(url, autocommit=True) as client:
        ask = {
            "the served file": lambda sql: file.sql(sql).rows(),
            "PostgreSQL": lambda sql: client.execute(sql).fetchall(),
        }
        for kind in QUESTIONS.values():  # a pooled connection has read its blocks before
            for door in DOORS:
                ask[door](question(kind, random.Random(0)))  # noqa: S311
        pipe.send("ready")
        while told := pipe.recv():
            door, kind, seconds = told
            chance, waits, cpu, until = random.Random(number), [], time.process_time(), time.monotonic() + seconds  # noqa: S311
            while time.monotonic() < until:
                sql = question(QUESTIONS[kind], chance)
                start = time.monotonic()
                ask[door](sql)
                waits.append(time.monotonic() - start)
            pipe.send((waits, time.process_time() - cpu))


def _server_cpu(running: Server) -> float:
    postmaster = psutil.Process(running.process.pid)
    times = [p.cpu_times() for p in (postmaster, *postmaster.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def take_turns(
    readers: list[Connection], running: Server, kind: str, *, slices: int, slice_s: float
) -> dict[str, Took]:
    """What a kind of question took at each door, asked in turn; a reader draws the same questions at both."""
    took = {door: Took() for door in DOORS}
    for door in DOORS * slices:
        cpu, start = _server_cpu(running), time.monotonic()
        for reader in readers:
            reader.send((door, kind, slice_s))
        for waits, own in [reader.recv() for reader in readers]:
            took[door].waits += waits
            took[door].cpu += own
        took[door].cpu += _server_cpu(running) - cpu
        took[door].wall += time.monotonic() - start
    return took


@contextmanager
def open_readers(home: Path, running: Server) -> Iterator[list[Connection]]:
    """Eight readers of both doors, with PostgreSQL indexed for what will be asked, and analysed."""
    assert postgres.publish(home, running.url()) == (1, True)
    running.sql("create index on marts.fct_observation (event_date)")
    running.sql("create index on marts.fct_observation (series_id, event_date) where known_to is null")
    running.sql("vacuum analyze marts.fct_observation")
    context, readers = multiprocessing.get_context("forkserver"), []
    for number in range(READERS):
        mine, theirs = context.Pipe()
        context.Process(target=_reader, args=(number, home, running.url(), theirs), daemon=True).start()
        theirs.close()
        readers.append(mine)
    assert [reader.recv() for reader in readers] == ["ready"] * READERS
    yield readers
    for reader in readers:
        reader.send(None)


def _line(door: str, took: Took, first: Took) -> None:
    waits = sorted(took.waits)
    p50, p95 = (waits[int(len(waits) * share)] * 1e3 for share in (0.5, 0.95))
    print(f"    {door:<26}{took.each * 1e3:8.2f} ms cpu {len(waits) / took.wall:8.0f} a second   "
          f"p50 {p50:5.1f} ms, p95 {p95:5.1f} ms   x {took.each / first.each:.2f}", flush=True)  # fmt: skip


def show(home: Path) -> None:
    """Print the rows of readers beside PostgreSQL."""
    with server() as running:
        print(f"{READERS} readers on a file of {make(home):.0f} MB, against PostgreSQL with indexes, a question each")
        total = dict.fromkeys(DOORS, 0.0)
        with open_readers(home, running) as readers:
            for kind in QUESTIONS:
                print(f"  {kind}")
                took = take_turns(readers, running, kind, slices=SLICES, slice_s=SLICE_S)
                for door in DOORS:
                    _line(door, took[door], took[DOORS[0]])
                    total[door] += took[door].each
        ours, theirs = total.values()
        print(f"  all of them, one each       {ours * 1e3:.1f} and {theirs * 1e3:.1f} ms cpu, x {theirs / ours:.2f}")


def publishes(home: Path) -> None:
    """Print what publishing under readers takes, and what the readers saw."""
    print("200 publishes under three readers")
    with server() as running:
        for door, (spent, told) in {
            DOORS[0]: test_publish.publish_under_readers(home / "served"),
            DOORS[1]: test_postgres.publish_under_readers(running.url(), home / "postgres"),
        }.items():
            spent.sort()
            wrong = sum(torn + backward + bool(errors) for _, torn, backward, errors in told)
            print(f"    {door:<26}{statistics.median(spent) * 1e3:8.1f} ms a publish, p95 {spent[189] * 1e3:.1f} ms   "
                  f"{sum(reads for reads, *_ in told):,} reads, {wrong} errors, torn or backward", flush=True)  # fmt: skip


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="capmig-bench-") as scratch:
        show(Path(scratch))
        publishes(Path(scratch))
