"""The way from pages to versions against a plain reading of the time contract, on pages drawn at random.

Pages are merged into runs as landing does it, file by file, and the ledger's compiled statement makes versions of them.
The reference walks through the pages one after another and knows no runs.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from include.core.shapes import SCHEMAS
from include.landing.runs import merge_sql

START, DAY = datetime(2026, 1, 10, tzinfo=UTC), date(2026, 1, 10)
SERIES = ("X.A", "X.B")
LATE_AFTER = 2
Cell = tuple[str, date]


@dataclass(frozen=True)
class Feed:
    """What a feed declares."""

    name: str
    rank: int
    restates: str
    revises: bool


@dataclass(frozen=True)
class Page:
    """A page as it was seen: the dates that it speaks for, and what it shows."""

    feed: Feed
    seen_at: datetime
    sha: str
    vintage: str
    days: tuple[date, date]
    shows: dict[Cell, int] = field(hash=False)

    def covers(self, day: date) -> bool:
        """Whether its silence on a day means something."""
        said = self.feed.restates
        return said == "all" or (said == "window" and self.days[0] <= day <= self.days[1])


def drawn(rng: random.Random) -> list[Page]:
    """Up to forty pages of one or two feeds; sometimes two of one instant, which share the dates out."""
    pages = []
    for rank in range(rng.randint(1, 2)):
        feed = Feed(f"f{rank}", rank, rng.choice(["all", "window", "none"]), rng.random() < 0.7)
        hours = sorted(rng.sample(range(200), rng.randint(1, 20)))
        for n, hour in enumerate(hours):
            first = DAY + timedelta(days=rng.randint(-3, 3))
            span = [first + timedelta(days=k) for k in range(rng.randint(1, 5))]
            parts = [span] if rng.random() < 0.8 or len(span) < 2 or feed.restates == "all" else [span[:1], span[1:]]
            vintage = "pseudo" if rng.random() < 0.1 else rng.choice(["archive", "archive", "first_seen"])
            for part, days in enumerate(parts):
                shows = {(s, d): rng.choice([1, 1, 1, 2]) for s in SERIES for d in days if rng.random() < 0.75}
                sha = f"{rng.randrange(16**6):06x}-{feed.name}-{n}-{part}"
                pages.append(Page(feed, START + timedelta(hours=hour), sha, vintage, (days[0], days[-1]), shows))
    return pages


def claimed(feed: Feed, vintage: str, day: date) -> datetime | None:
    """The declared lag of undated copies and of feeds that do not revise: noon of the next day."""
    if vintage != "pseudo" and feed.revises:
        return None
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=1)


# The reference.


def told(pages: list[Page], cell: Cell, cutoff: datetime) -> list[tuple]:
    """A cell's versions by the contract: (value, status, known from, known to, vintage, payload)."""
    seen = [p.seen_at for p in pages if cell in p.shows]
    entries = []
    for feed in {p.feed for p in pages}:
        own = [p for p in pages if p.feed == feed]
        speaks = any(p.vintage != "pseudo" and p.days[0] <= cell[1] <= p.days[1] for p in own)
        entries += _entries(own, cell, min(seen, default=START), speaks)
    chain = sorted((e for e in entries if e[0] <= cutoff), key=lambda e: e[:4])
    kept = [e for n, e in enumerate(chain) if n == 0 or e[4] != chain[n - 1][4]]
    ends = [e[0] for e in kept[1:]] + [None]
    return [(*e[4], e[0], end, *e[5]) for e, end in zip(kept, ends, strict=False)]


def _entries(pages: list[Page], cell: Cell, earliest: datetime, speaks: bool) -> list[tuple]:
    """What one feed said of a cell in turn: (known from, rank, first seen, payload, (value, status), (vintage, payload))."""
    by_instant: dict[datetime, list[Page]] = defaultdict(list)
    for page in pages:
        by_instant[page.seen_at].append(page)
    out, state, began = [], None, None
    for at, here in sorted(by_instant.items()):
        showing = [p for p in here if cell in p.shows]
        silent = [p for p in here if p.covers(cell[1])]
        if showing and showing[0].shows[cell] != state:
            (page,) = showing
            state, began = page.shows[cell], (page.seen_at, page.sha)
            known, vintage = _dated(page, cell[1], at == earliest, speaks)
            out.append((known, page.feed.rank, *began, (state, "final"), (vintage, page.sha)))
        elif not showing and silent and state is not None:
            page = min(silent, key=lambda p: p.sha)
            out.append((at, page.feed.rank, began[0], page.sha, (None, "retracted"), (page.vintage, page.sha)))
            state = None
    return out


def _dated(page: Page, day: date, is_earliest: bool, speaks: bool) -> tuple[datetime, str]:
    lag, at = claimed(page.feed, page.vintage, day), page.seen_at
    if is_earliest and lag:
        if page.vintage == "pseudo" and at > lag and not speaks:
            return lag, "pseudo"
        if page.vintage != "pseudo" and at > lag + timedelta(days=1):
            return lag, "pseudo"
    if is_earliest and page.feed.revises and at.date() > day + timedelta(days=LATE_AFTER):
        return at, "backfill_unknown"
    return at, "first_seen" if page.vintage == "pseudo" else page.vintage


# The real way.


def landed(con: duckdb.DuckDBPyConnection, pages: list[Page], rng: random.Random) -> None:
    """Row and page tables as landing leaves them: runs within files that end where they happen to end."""
    con.execute("delete from scratch.staging.stg_observation; delete from scratch.landing.page; "
                "delete from scratch.landing.feed")  # fmt: skip
    for feed in sorted({p.feed for p in pages}, key=lambda f: f.rank):  # a draw is the same in every process
        own = [p for p in pages if p.feed == feed]
        con.execute("insert into scratch.landing.feed values ('s', $1, $2, $3)", [feed.name, feed.revises, LATE_AFTER])
        instants = sorted({p.seen_at for p in own})
        for file in _files(instants, rng):
            rows = [_row(p, cell, value, file) for p in own if p.seen_at in file for cell, value in p.shows.items()]
            con.register("incoming", pa.Table.from_pylist(rows, SCHEMAS["observation"].append(PAGE_NO)))
            broken = "false" if feed.restates == "none" else "page_no > lag(page_no) over w + 1"
            con.execute("insert into scratch.staging.stg_observation by name "
                        + merge_sql("observation", "incoming", broken))  # fmt: skip
            con.unregister("incoming")
        for p in own:
            con.execute("insert into scratch.landing.page values ('s', $1, $2, $3, $4, $5, $6, $7)",
                        [feed.name, p.sha, p.seen_at, p.vintage, feed.restates, *p.days])  # fmt: skip


PAGE_NO = pa.field("page_no", pa.int64())


def _files(instants: list[datetime], rng: random.Random) -> list[list[datetime]]:
    cuts = sorted(rng.sample(range(1, len(instants)), rng.randint(0, min(3, len(instants) - 1))))
    return [instants[a:b] for a, b in zip([0, *cuts], [*cuts, len(instants)], strict=True)]


def _row(page: Page, cell: Cell, value: int, file: list[datetime]) -> dict:
    return dict.fromkeys(SCHEMAS["observation"].names) | {
        "series_id": cell[0], "event_date": cell[1], "value": value, "unit": "usd", "obs_status": "final",
        "source_id": "s", "feed": page.feed.name, "feed_rank": page.feed.rank, "lineage_root": "s",
        "evidence_kind": "compilation", "value_raw": str(value), "vintage_kind": page.vintage, "locator": "",
        "claimed_known_at": claimed(page.feed, page.vintage, cell[1]), "first_seen": page.seen_at,
        "last_seen": page.seen_at, "n_seen": 1, "payload_sha256": page.sha, "parser_version": "1",
        "page_no": file.index(page.seen_at),
    }  # fmt: skip


@pytest.fixture(scope="module")
def statement(pack_home: Path) -> str:
    """The compiled statement of `observation_version`."""
    (newest,) = sorted(pack_home.glob("build/run-*"), key=lambda p: p.stat().st_mtime)[-1:]
    (path,) = (newest / "target" / "compiled").rglob("observation_version.sql")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """Empty tables of the names that the statement reads."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; attach ':memory:' as scratch")
        for schema in ("staging", "ledger", "landing"):
            con.execute(f"create schema scratch.{schema}")
        con.register("shape", SCHEMAS["observation"].empty_table())
        con.execute("create table scratch.staging.stg_observation as from shape")
        con.execute("create table scratch.landing.page (source_id text, feed text, payload_sha256 text, seen_at "
                    "timestamptz, vintage_kind text, restates text, scope_from date, scope_to date)")  # fmt: skip
        con.execute("create table scratch.landing.feed (source_id text, feed text, revises bool, late_after_days int)")
        con.execute(
            "create table scratch.landing.market_session (calendar text, session_date date, close_at timestamptz)"
        )
        con.execute(
            "create table scratch.ledger.series_family (family text, calendar text, closed_day_is_holiday bool)"
        )
        con.execute("create table scratch.ledger.hold (hold_id text, source_id text, series_id text, event_date date, "
                    "event_at timestamptz, value decimal(38, 18), obs_status text, released_at timestamptz)")  # fmt: skip
        con.execute("create table scratch.ledger.cutoff (cutoff_at timestamptz)")
        con.execute("create table scratch.ledger.observation_derived (source_id text, series_id text, event_date date, "
                    "event_at timestamptz, value decimal(38, 18), obs_status text, known_from timestamptz, "
                    "place bigint)")  # fmt: skip
        yield con


def check(con: duckdb.DuckDBPyConnection, statement: str, seed: int) -> int:
    """One draw, with its cut-off. Returns how many versions there were."""
    rng = random.Random(seed)
    pages = drawn(rng)
    landed(con, pages, rng)
    cutoff = START + timedelta(hours=rng.choice([300, 300, rng.randrange(200)]))
    con.execute("delete from scratch.ledger.cutoff; insert into scratch.ledger.cutoff values ($1)", [cutoff])
    made: dict[Cell, list[tuple]] = defaultdict(list)
    for series, day, *version in con.execute(
        "select series_id, event_date, value::int, obs_status, known_from, known_to, vintage_kind, payload_sha256 "
        f"from ({statement}) order by series_id, event_date, version_no"
    ).fetchall():
        made[series, day].append(tuple(version))
    cells = {cell for page in pages for cell in page.shows}
    expected = {cell: versions for cell in cells if (versions := told(pages, cell, cutoff))}
    assert made == expected, f"seed {seed}"
    return sum(map(len, expected.values()))


def test_versions_are_what_the_pages_say_one_after_another(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Sixty draws: feeds that restate all, a window or nothing, undated copies, late history, cut-offs."""
    assert sum(check(con, statement, seed) for seed in range(60)) > 3000


@pytest.mark.soak
def test_versions_of_many_more_pages(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Five thousand draws."""
    for seed in range(60, 5060):
        check(con, statement, seed)
