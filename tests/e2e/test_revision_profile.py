"""How wrong the first print is, computed once more from the bundled record itself and compared cell by cell.

No row of the warehouse is read here: the record says what the table showed at each half hour in which it changed, and
a total is a reading from the first fund on. Only the last test asks the ledger, at every instant.
"""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from include.replay import PACK_CLOCK
from include.replay.record import figures
from tests.bench.calibration import calibrate
from tests.e2e.test_acceptance import ask, one

GRID = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 36, 48, 72, 168)
HALF_DAYS = {date(2025, 11, 28), date(2025, 12, 24)}
STEP = Decimal("0.00000001")
AS_OF = "2026-01-23T03:07:00Z"
SQL = (
    "select * exclude (source_id, asset) from marts.mart_revision_profile where source_id = 'farside' and asset = 'BTC'"
)

Prints = list[tuple[datetime, int]]  # when a total came, in dollars; oldest first, each unlike the one before
Session = tuple[datetime, Prints, dict[str, datetime]]  # the close, the totals, each fund's first figure


def closes(day: date) -> datetime:
    """When New York closed: at 16:00, or at 13:00 after Thanksgiving and on Christmas Eve."""
    return datetime.combine(day, time(13 if day in HALF_DAYS else 16), ZoneInfo("America/New_York")).astimezone(UTC)


def sessions(cutoff: datetime) -> list[Session]:
    """Every session that had settled by a cut-off and whose first total was seen within twelve hours of its close."""
    row: dict[date, dict[str, Decimal]] = defaultdict(dict)
    prints: dict[date, Prints] = defaultdict(list)
    funds: dict[date, dict[str, datetime]] = defaultdict(dict)
    by_page = defaultdict(list)
    for figure in figures("farside__btc"):
        if figure.known_from <= cutoff:
            by_page[figure.known_from].append(figure)
    for seen_at, changes in sorted(by_page.items()):
        for change in changes:
            row[change.period][change.series] = Decimal(change.value)
            if change.series != "Total":
                funds[change.period].setdefault(change.series, seen_at)
        for day in {change.period for change in changes if funds[change.period]}:
            total = int(row[day]["Total"] * 10**6)
            if not prints[day] or prints[day][-1][1] != total:
                prints[day].append((seen_at, total))
    found = [(closes(day), prints[day], funds[day]) for day in sorted(prints) if prints[day]]
    return [one for one in found if one[0] <= cutoff - timedelta(hours=168)
            and one[1][0][0] <= one[0] + timedelta(hours=12)]  # fmt: skip


def known(prints: Prints, at: datetime) -> int | None:
    """The newest total at an instant."""
    return next((total for seen_at, total in reversed(prints) if seen_at <= at), None)


def signs_differ(a: int, b: int) -> bool:
    """Zero has a sign of its own."""
    return (a > 0, a < 0) != (b > 0, b < 0)


def share(part: int, whole: int) -> Decimal | None:
    """A quotient of counts with eight places; None over nothing."""
    return (Decimal(part) / whole).quantize(STEP) if whole else None


def expected(cutoff: datetime) -> list[dict]:
    """The profile's rows in the order of the grid."""
    every = sessions(cutoff)
    n = len(every)
    hours = sorted(Decimal((prints[-1][0] - close).total_seconds()) / 3600 for close, prints, _ in every)
    last: Counter[str] = Counter()
    for _, _, funds in every:
        last.update(ticker for ticker, seen_at in funds.items() if seen_at == max(funds.values()))
    most = max(last.values())
    whole = {
        "n_sessions": n,
        "median_first_print_error_usd": median(abs(p[0][1] - p[-1][1]) for _, p, _ in every),
        "first_print_wrong_sign_share": share(sum(signs_differ(p[0][1], p[-1][1]) for _, p, _ in every), n),
        "median_hours_to_final": round(median(hours), 2),
        "p90_hours_to_final": round(hours[-(-n * 9 // 10) - 1], 2),
        "last_ticker": ", ".join(sorted(t for t, times in last.items() if times == most)),
        "last_ticker_share": share(most, n),
        "known_from": max(seen_at for _, prints, _ in every for seen_at, _ in prints),
    }
    rows = []
    for h in GRID:
        told = [(total, prints[-1][1]) for close, prints, _ in every
                if (total := known(prints, close + timedelta(hours=h))) is not None]  # fmt: skip
        n_final = sum(total == settled for total, settled in told)
        rows.append(whole | {
            "hours_since_close": h, "n_known": len(told), "n_final": n_final, "final_share": share(n_final, n),
            "median_abs_error_usd": median(abs(a - b) for a, b in told) if told else None,
            "wrong_sign_share": share(sum(signs_differ(a, b) for a, b in told), len(told)),
        })  # fmt: skip
    return rows


@pytest.mark.parametrize("at", [None, AS_OF])
def test_every_cell_of_the_profile(pack_home: Path, at: str | None) -> None:
    """Of today, and in a build as of an instant, where fewer sessions had settled."""
    cutoff = datetime.fromisoformat(at) if at else PACK_CLOCK
    told = ask(pack_home, SQL + " order by hours_since_close", *(("--as-of", at) if at else ()))
    wanted = expected(cutoff)
    assert [row["n_sessions"] for row in wanted] == [41 if at else 46] * len(GRID)
    assert len(told) == len(GRID)
    for row, want in zip(told, wanted, strict=True):
        row["known_from"] = datetime.fromisoformat(row["known_from"])
        assert row == want, row["hours_since_close"]


def test_what_the_record_is_known_for(pack_home: Path) -> None:
    """Most totals are final ten hours after the close, and one fund is last on nearly every session."""
    ten = one(pack_home, SQL + " and hours_since_close = 10")
    assert Decimal("0.85") < ten["final_share"] < Decimal("0.92")
    assert (ten["last_ticker"], ten["last_ticker_share"] > Decimal("0.95")) == ("IBIT", True)


def test_no_timing_is_told_of_an_undated_copy_or_of_history_seen_late(pack_home: Path) -> None:
    """The Ether table is one undated copy, and the other compilation was fetched once, after the fact."""
    rows = ask(pack_home, "select distinct source_id, asset from marts.mart_revision_profile")
    assert rows == [{"source_id": "farside", "asset": "BTC"}]


def test_a_partial_session_says_how_wrong_such_a_print_has_been(pack_home: Path) -> None:
    """Six hours after the close of 22 January, from the sessions that had settled by then."""
    line = one(pack_home, "select reading from marts.mart_daily_brief where headline like 'BTC spot ETFs, session of%'",
               "--as-of", AS_OF)["reading"]  # fmt: skip
    row = next(row for row in expected(datetime.fromisoformat(AS_OF)) if row["hours_since_close"] == 6)
    off = (Decimal(row["median_abs_error_usd"]) / 10**6).quantize(Decimal("0.1"))
    assert line == (
        f"capital left the channel so far; 6 h after the close its total has been off by {off} m in the median of "
        f"{row['n_known']} sessions, of the wrong sign in {round(row['wrong_sign_share'] * 100)} %"
    )


def test_the_printed_total_is_the_sum_of_its_funds_at_every_instant(pack_home: Path) -> None:
    """Why the printed total may stand for ours in the profile: where there is a split, the two never differed."""
    row = one(pack_home, """
        with version as (
            select * from marts.fct_etf_flow_daily where source_id = 'farside' and asset = 'BTC' and net_flow_usd is not null
        ),
        told as (
            select moment.session_date, moment.known_from,
                sum(version.net_flow_usd) filter (version.ticker != 'TOTAL') as funds,
                sum(version.net_flow_usd) filter (version.ticker = 'TOTAL') as total
            from (select distinct session_date, known_from from version) as moment
            inner join version on version.session_date = moment.session_date and version.known_from <= moment.known_from
                and (version.known_to is null or moment.known_from < version.known_to)
            group by all
        )
        select count(*) as n, count(*) filter (funds is distinct from total) as n_differ from told""")  # fmt: skip
    assert row["n"] > 700
    assert row["n_differ"] == 0


@pytest.mark.soak
def test_the_ladder_of_grades_rises_with_what_is_revised(pack_home: Path) -> None:
    """The worse the grade, the larger the share revised within a week, of the grades with twenty figures or more."""
    told = {grade: row for grade, row in calibrate(pack_home).items() if row.figures >= 20}
    shares = [row.share for row in told.values()]
    assert {"A", "C"} <= told.keys()
    assert shares == sorted(shares)
    assert told["C"].dated >= 20
    assert told["C"].revised > 0
