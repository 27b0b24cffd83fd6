"""The first promise, on data nobody has seen: what is answered as of T is what could be known at T, and nothing else.

One warehouse: the bundled pack, a stranger's dated pages of the Ether table taken in at random, a hold that stands and
one that is released. Another: the pack, and the recorded pages of every feed that there is.
"""

import os
import random
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from include import pipeline
from include.core.clock import iso, parse_instant
from include.core.shapes import CELL_KEYS, SCHEMAS
from include.landing.land import import_file
from include.replay import PACK_CLOCK
from include.settings import Settings
from include.sources import feeds, registry
from include.warehouse import build as builds
from include.warehouse import holds, publish
from tests.conftest import capmig
from tests.e2e.vintages import HOLIDAY, NIGHTS, pages, record
from tests.sources.wire import SEEN, cases

US = timedelta(microseconds=1)
RELEASED = parse_instant("2026-01-25T12:00:00Z")
NIGHT = pages()[0].seen_at
BLANK = pages()[4].seen_at  # a fund's figure is gone
OPEN, CLOSE = parse_instant("2026-01-22T14:30:00Z"), parse_instant("2026-01-22T21:00:00Z")
_RNG = random.Random(20260123)
_WINDOW = (datetime(2025, 12, 1, tzinfo=UTC), PACK_CLOCK)
SOME = [_WINDOW[0] + (_WINDOW[1] - _WINDOW[0]) * _RNG.random() for _ in range(12)]
INSTANTS = [BLANK, RELEASED, OPEN - US]
MORE = [BLANK - US, BLANK + US, RELEASED - US, OPEN, CLOSE, CLOSE - US, PACK_CLOCK, _WINDOW[0],
        parse_instant("2024-07-24T18:00:00Z"), *SOME]  # fmt: skip
LATER = SEEN + timedelta(days=10)

SOAK = [pytest.param(at, marks=pytest.mark.soak) for at in MORE]

SAID = [
    "select series_id, source_id, event_date, event_at, value, obs_status from {of}.marts.fct_observation",
    "select asset, ticker, session_date, source_id, net_flow_usd, obs_status from {of}.marts.fct_etf_flow_daily",
]
AT = " where known_from <= $1 and (known_to is null or $1 < known_to)"


def base(pack_home: Path, home: Path, clock: datetime = PACK_CLOCK) -> Settings:
    """A warehouse of one's own on the pack's landing, with a hold and a released one. Nothing is built."""
    for part in ("landing", "rows", "build/cache"):
        shutil.copytree(pack_home / part, home / part)
    (home / "clock").write_text(iso(clock))
    held = {"rule_id": "G5.magnitude", "source_id": "farside", "event_at": None, "obs_status": "final", "why": "a test"}
    ibit = {"series_id": "ETF_FLOW.BTC.IBIT", "event_date": date(2026, 1, 22), "value": Decimal(-22_400_000)}
    fbtc = {"series_id": "ETF_FLOW.BTC.FBTC", "event_date": date(2026, 1, 21), "value": None}
    with duckdb.connect() as con:
        (fbtc["value"],) = con.execute(
            f"select value from read_parquet('{home}/rows/observation/farside__btc/*.parquet') where series_id = $1 "
            "and event_date = $2 and value is not null order by first_seen desc limit 1",
            [fbtc["series_id"], fbtc["event_date"]],
        ).fetchone()
    released, _ = holds.add(home, [held | ibit, held | fbtc], PACK_CLOCK)
    holds.release(home, released["hold_id"], at=RELEASED, why="the issuer says so")
    return Settings(warehouse_home=home, clock=clock)


def take_in(settings: Settings, at: datetime | None, body: bytes) -> None:
    """Import one saved page of the Ether table."""
    path = settings.home / "page.html"
    path.write_bytes(body)
    import_file(settings, "farside", "eth", path, observed_at=at, run_id="stranger")


def built(home: Path, run_id: str, clock: datetime, tables: dict[str, list[dict]]) -> Path:
    """A build without a cut-off, of everything but `ops` and the data tests."""
    made = builds.prepare(home, list(registry().values()), run_id=run_id, clock=clock, as_of=None, tables=tables)
    builds.run_dbt(made, ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test",
                          "--exclude", "path:models/ops"], threads=2)  # fmt: skip
    return made.warehouse


@pytest.fixture(scope="module")
def stranger(pack_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The pack, and the dated pages in random order after the undated copy."""
    settings = base(pack_home, tmp_path_factory.mktemp("stranger"))
    shuffled = pages()
    random.Random(3).shuffle(shuffled)
    for saved in shuffled:
        take_in(settings, saved.seen_at, saved.body)
    return settings


@pytest.fixture(scope="module")
def current(stranger: Settings) -> Path:
    """What is known at the pack's clock."""
    return built(stranger.home, "run-current", PACK_CLOCK, pipeline._tables(stranger.home))


def kept_at(home: Path, out: Path, at: datetime) -> None:
    """The landing zone's rows as they stood at `at`: what was not knowable is dropped, `last_seen` is clipped.

    When a row was knowable is told here from the contract, not from the ledger. Pages that came later go too, but for
    the feed of an undated copy: that its pages date a day counts at every instant (decision 0002).
    """
    shutil.copytree(home / "build" / "cache", out / "build" / "cache")
    with duckdb.connect() as con:
        con.execute(f"set TimeZone = 'UTC'; create table page as from read_parquet('{home}/rows/page/*/*.parquet')")
        con.execute(f"create table feed as from '{home}/build/run-current/inputs/feed.parquet'")
        _write(con, out, home, "page", "seen_at <= $at or exists (select 1 from page as p where p.source_id = "
               "page_row.source_id and p.feed = page_row.feed and p.vintage_kind = 'pseudo')", at)  # fmt: skip
        knowable = """
            case
                when vintage_kind = 'publisher' then published_at
                when claimed_known_at is null or not is_first then first_seen
                when vintage_kind != 'pseudo'
                    then case when first_seen > claimed_known_at + interval 1 day then claimed_known_at else first_seen end
                when exists (select 1 from page as p where p.source_id = {0}_row.source_id and p.feed = {0}_row.feed
                    and p.vintage_kind != 'pseudo' and {0}_row.event_date between p.scope_from and p.scope_to)
                    then first_seen
                else least(first_seen, claimed_known_at)
            end <= $at"""
        for shape in sorted(CELL_KEYS.keys() & {path.name for path in (home / "rows").iterdir()}):
            _write(con, out, home, shape, knowable.format(shape), at)


def _write(con: duckdb.DuckDBPyConnection, out: Path, home: Path, shape: str, kept: str, at: datetime) -> None:
    cell = ", ".join(("source_id", *CELL_KEYS.get(shape, ())))
    first = f", first_seen = min(first_seen) over (partition by {cell}) as is_first" if shape in CELL_KEYS else ""
    names = ", ".join("least(last_seen, $at) as last_seen" if n == "last_seen" else n for n in SCHEMAS[shape].names)
    con.execute(
        f"create table kept_{shape} as "
        f"with {shape}_row as (select *{first} from read_parquet('{home}/rows/{shape}/*/*.parquet')) "
        f"select {names} from {shape}_row where {kept}", {"at": at},
    )  # fmt: skip
    for folder in (home / "rows" / shape).iterdir():
        target = out / "rows" / shape / folder.name
        target.mkdir(parents=True)
        table = con.execute(
            f"from kept_{shape} where source_id = $1 and feed = $2", folder.name.split("__", 1)
        ).to_arrow_table()
        pq.write_table(table.cast(SCHEMAS[shape]), target / "0.parquet")
        (target / "index").write_text("0.parquet\n")


@pytest.mark.parametrize("at", [*INSTANTS, *SOAK], ids=iso)
def test_a_build_as_of_and_the_versions_of_today_agree(stranger: Settings, current: Path, at: datetime) -> None:
    """At a page's exact instant, at a release, a microsecond before an open and at random: the same figures, none later."""
    asked = pipeline.build_as_of(stranger, at)
    with duckdb.connect() as con:
        con.execute(
            f"set TimeZone = 'UTC'; attach '{current}' as today (read_only); attach '{asked}' as past (read_only)"
        )
        for said in SAID:
            by_version, by_build = (con.execute(said.format(of=of) + AT, [at]).fetchall() for of in ("today", "past"))
            assert len(by_build) == len(set(by_build)) == len(by_version) > 0
            assert set(by_build) == set(by_version)
            assert con.execute(said.format(of="past") + " where known_from > $1", [at]).fetchall() == []


@pytest.mark.parametrize("at", [*INSTANTS, *SOAK], ids=iso)
def test_a_build_as_of_is_a_build_of_a_landing_that_ends_there(
    stranger: Settings, current: Path, tmp_path: Path, at: datetime
) -> None:
    """Byte-equal marts, whether what was not knowable is cut off or was never there."""
    kept_at(stranger.home, tmp_path, at)
    tables = pipeline._tables(stranger.home)
    tables["fetch_outcome"] = [row for row in tables["fetch_outcome"] if row["seen_at"] <= at]
    ended = built(tmp_path, "run-ended", at, tables)
    assert publish.marts_hash(ended) == publish.marts_hash(pipeline.build_as_of(stranger, at))


def test_so_it_is_with_every_source_and_every_mart(pack_home: Path, tmp_path: Path) -> None:
    """The recorded pages of every feed, each seen at a time of its own: rates, leverage, chain, press and rules."""
    rng, at = random.Random(11), SEEN + (LATER - SEEN) / 2
    settings = base(pack_home, tmp_path / "all", LATER)
    for source, feed in feeds():
        for page in [] if feed.shipped else cases(source.source_id, feed, ".expected.csv"):
            seen = SEEN + (LATER - SEEN) * rng.random()
            import_file(settings, source.source_id, feed.name, page, observed_at=seen, run_id="recorded")
    tables = pipeline._tables(settings.home)
    current = built(settings.home, "run-current", LATER, tables)
    kept_at(settings.home, tmp_path / "kept", at)
    tables["fetch_outcome"] = [row for row in tables["fetch_outcome"] if row["seen_at"] <= at]
    ended, asked = built(tmp_path / "kept", "run-ended", at, tables), pipeline.build_as_of(settings, at)
    assert publish.marts_hash(ended) == publish.marts_hash(asked) != publish.marts_hash(current)
    for mart in ("fct_account_position_daily", "fct_derivative_oi_daily", "fct_document", "fct_regulatory_event"):
        assert builds.query(asked, f"select count(*) from marts.{mart}")[0][0] > 0


def test_a_release_acts_from_its_own_instant(current: Path) -> None:
    """The held figure is nobody's until then; the one that was not released is nobody's at all."""
    sql = ("select ticker, net_flow_usd, obs_status from marts.fct_etf_flow_daily where source_id = 'farside' and ("
           "(ticker = 'IBIT' and session_date = '2026-01-22') or (ticker = 'FBTC' and session_date = '2026-01-21'))"
           " and known_from <= $1 and (known_to is null or $1 < known_to) order by all")  # fmt: skip
    held = [("FBTC", None, "held"), ("IBIT", None, "held")]
    assert builds.query(current, sql, [RELEASED - US]) == held
    assert builds.query(current, sql, [RELEASED]) == [held[0], ("IBIT", Decimal("-22400000.00"), "final")]


def test_a_strangers_vintages_are_told_as_they_were(current: Path) -> None:
    """Every session's total at every instant is what the newest page then showed; elsewhere the undated copy stands."""
    saved, copy = pages(), record()
    dated = {day for page in saved for day in page.shown}
    rng = random.Random(5)
    instants = [page.seen_at + shift for page in saved for shift in (timedelta(0), -US)]
    instants += [NIGHT + timedelta(hours=72 * rng.random()) for _ in range(20)] + [PACK_CLOCK]
    with duckdb.connect(str(current), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        for at in instants:
            told = dict(con.execute(
                "select session_date, sum(net_flow_usd) from marts.fct_etf_flow_daily where asset = 'ETH' and "
                "source_id = 'farside' and ticker != 'TOTAL' and net_flow_usd is not null and known_from <= $1 "
                "and (known_to is null or $1 < known_to) group by all", [at]).fetchall())  # fmt: skip
            expected = {day: row for day, row in copy.items() if day not in dated and at >= six_pm_after(day)}
            for page in saved:
                expected |= page.shown if page.seen_at <= at else {}
            expected |= copy if at >= PACK_CLOCK else {}  # taken in then, and it covers everything
            funds = {day: [v for fund, v in row.items() if fund != "Total"] for day, row in expected.items()}
            sums = {day: sum(row) * 10**6 for day, row in funds.items() if row}
            assert told == sums, f"as known at {iso(at)}"
    assert len(dated) == 17
    assert min(dated) < HOLIDAY < NIGHTS[0]


def six_pm_after(day: date) -> datetime:
    """When an undated copy is taken to have been public: 18:00 UTC of the next day."""
    return datetime(day.year, day.month, day.day, 18, tzinfo=UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "ticker", "at", "said"),
    [
        (NIGHTS[0], "TOTAL", NIGHT, (None, "not_yet")),
        (HOLIDAY, "TOTAL", NIGHT, (None, "holiday")),
        (NIGHTS[0], "FETH", BLANK - US, (Decimal("-51500000.00"), "final")),
        (NIGHTS[0], "FETH", BLANK, (None, "retracted")),
        (NIGHTS[0], "FETH", BLANK + timedelta(minutes=30), (Decimal("-51500000.00"), "final")),
        (NIGHTS[0], "TETH", PACK_CLOCK, (Decimal("0.00"), "reported_zero")),
        (date(2024, 7, 23), "ETHA", NIGHT, (Decimal("266500000.00"), "final")),
    ],
)
def test_five_ways_of_saying_nothing(current: Path, day: date, ticker: str, at: datetime, said: tuple) -> None:
    """A placeholder, a closed day, a withdrawn figure and a reported zero are different things."""
    sql = ("select net_flow_usd, obs_status from marts.fct_etf_flow_daily where asset = 'ETH' and source_id = 'farside' "
           "and session_date = $1 and ticker = $2 and known_from <= $3 and (known_to is null or $3 < known_to)")  # fmt: skip
    assert builds.query(current, sql, [day, ticker, at]) == [said]


@pytest.fixture(scope="module")
def in_order(pack_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same landing by another way: the pages in order and every third of them twice, the undated copy last."""
    settings = base(pack_home, tmp_path_factory.mktemp("in_order"))
    (settings.home / "landing" / "manifest" / "farside" / "eth.jsonl").unlink()
    shutil.rmtree(settings.home / "landing" / "raw" / "farside" / "eth")
    for shape in ("observation", "page"):
        shutil.rmtree(settings.home / "rows" / shape / "farside__eth")
    for n, saved in enumerate(pages()):
        for _ in range(1 if n % 3 else 2):
            take_in(settings, saved.seen_at, saved.body)
    (copy,) = (pack_home / "inbox" / "farside" / "done").glob("eth__undated-*.html")
    take_in(settings, None, copy.read_bytes())
    return settings


def check_elsewhere(settings: Settings, current: Path, threads: int, zone: str) -> None:
    """A build in a process with so many threads, in such a time zone, has the same marts to the byte."""
    shutil.rmtree(settings.home / "build" / "asof", ignore_errors=True)
    done = capmig(settings.home, "build", "--as-of", iso(PACK_CLOCK), CAPMIG_THREADS=str(threads), TZ=zone)
    assert done.returncode == 0, done.stderr
    assert publish.marts_hash(Path(done.stdout.strip())) == publish.marts_hash(current)


def test_order_repetition_threads_and_zone_change_nothing(in_order: Settings, current: Path) -> None:
    """Shuffled or in order, once or twice, the copy first or last, here with two threads or in Tokyo with four."""
    assert os.environ.get("TZ") != "Asia/Tokyo"
    check_elsewhere(in_order, current, 4, "Asia/Tokyo")


@pytest.mark.soak
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_number_of_threads_in_every_zone(in_order: Settings, current: Path, threads: int, zone: str) -> None:
    """Nine builds, one hash."""
    check_elsewhere(in_order, current, threads, zone)
