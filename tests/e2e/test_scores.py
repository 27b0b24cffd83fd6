"""Every score of every session and every rate difference, computed once more from the versions, in exact arithmetic.

What is computed here is what the model says (sums over sessions, strictly prior windows, a run that an unfinished
session voids), in plain Python over `fct_etf_flow_daily`, `fct_observation` and `fct_policy_decision` alone.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from include.answers import reader
from include.replay import PACK_CLOCK

STEP = Decimal("0.00000001")
SCORES = ("net_flow_usd", "obs_status", "n_funds_reported", "n_funds_listed", "completeness_aum", "pct_aum_bp",
          "cum5_usd", "cum20_usd", "streak", "breadth_out", "flow_hhi", "z60", "abs_flow_pctile",
          "n_prior_sessions")  # fmt: skip
Rows = list[tuple]


@pytest.fixture(scope="module")
def ask(pack_home: Path) -> Iterator:
    """Rows of a statement on the served file."""
    with reader.connect(pack_home / "serve" / "warehouse.duckdb") as con:
        yield lambda sql: reader.query(con, sql).fetchall()


def ratio(above: Decimal | int, below: Decimal | int | None) -> Decimal | None:
    """A quotient; None over nothing."""
    return Decimal(above) / Decimal(below) if below else None


def near(told: object, expected: object) -> bool:
    """Equal; a stored ratio may differ by one in its last place, being rounded."""
    if isinstance(told, Decimal) and isinstance(expected, Decimal):
        return abs(told - expected) <= STEP
    return told == expected


def assets_before(ask, asset: str, sessions: Rows) -> dict[date, dict[str, Decimal]]:
    """By session, each fund's newest figure that was known before it opened and is ten sessions old at most."""
    every = [
        day for (day,) in ask("select session_date from marts.dim_market_session where calendar = 'NYSE' order by 1")
    ]
    place = {day: n for n, day in enumerate(every)}
    stocks = ask(f"""select split_part(series_id, '.', 3), event_date, known_from, value from marts.fct_observation
        where series_id like 'AUM.{asset}.%' and known_to is null and value is not null
            and obs_status not in ('held', 'retracted') order by event_date""")  # fmt: skip
    known: dict[date, dict[str, Decimal]] = {}
    for day, opens in sessions:
        oldest = every[place[day] - 10]
        known[day] = {t: v for t, on, at, v in stocks if oldest <= on < day and at < opens}
    return known


def sessions_of(ask, asset: str) -> list[dict]:
    """Each session with its funds: flow, status and completeness by the published fund split."""
    cells = defaultdict(dict)
    for ticker, day, value in ask(f"""select ticker, session_date, net_flow_usd from marts.fct_etf_flow_daily where
            asset = '{asset}' and is_published_lineage and known_to is null and net_flow_usd is not null
            and ticker != 'TOTAL' and obs_status not in ('held', 'retracted')"""):  # fmt: skip
        cells[day][ticker] = value
    listed = ask(f"select ticker, listed_on, delisted_on from marts.dim_fund where asset = '{asset}'")
    sessions = ask(f"""select session_date, open_at from marts.dim_market_session where calendar = 'NYSE'
        and session_date >= date '{min(on for _, on, _ in listed)}' and open_at <= '{PACK_CLOCK}' order by 1""")
    aum = assets_before(ask, asset, sessions)
    return [settled(day, cells[day], {t for t, on, off in listed if on <= day and not (off and off <= day)}, aum[day])
            for day, _ in sessions]  # fmt: skip


def settled(day: date, cells: dict[str, Decimal], funds: set[str], aum: dict[str, Decimal]) -> dict:
    """One session: our total, how complete it is, and whether it is final."""
    flows = {t: v for t, v in cells.items() if t in funds}
    whole = sum(aum[t] for t in funds) if funds and funds <= aum.keys() else None
    completeness = ratio(sum(aum[t] for t in flows), whole) if flows and whole else None
    old = PACK_CLOCK.date() >= day + timedelta(days=7)
    final = len(flows) == len(funds) or (old and completeness is not None and completeness >= Decimal("0.95"))
    flow = sum(flows.values()) if flows else None
    gross = sum(map(abs, flows.values()))
    return {
        "session_date": day, "net_flow_usd": flow, "n_funds_reported": len(flows), "n_funds_listed": len(funds),
        "obs_status": "not_yet" if flow is None else "final" if final else "partial", "completeness_aum": completeness,
        "pct_aum_bp": ratio(flow * 10000, whole) if flow is not None else None,
        "breadth_out": ratio(sum(v < 0 for v in flows.values()), len(flows)),
        "flow_hhi": sum((v / gross) ** 2 for v in flows.values()) if gross else None,
    }  # fmt: skip


def finals(sessions: list[dict]) -> list[Decimal]:
    return [s["net_flow_usd"] for s in sessions if s["obs_status"] == "final"]


def summed(sessions: list[dict], at: int, n: int) -> Decimal | None:
    """Over `n` sessions that end here; None unless all are final."""
    window = finals(sessions[max(0, at - n + 1) : at + 1])
    return sum(window) if len(window) == n else None


def streak(sessions: list[dict], at: int) -> int | None:
    """Signed length of the run that ends here; None if a session of it, or the one that ends it, is not final."""
    length, direction = 0, None
    for session in reversed(sessions[: at + 1]):
        if session["obs_status"] != "final":
            return None
        sign = (session["net_flow_usd"] > 0) - (session["net_flow_usd"] < 0)
        direction = sign if direction is None else direction
        if sign != direction or sign == 0:
            break
        length += 1
    return length * direction


def scored(sessions: list[dict], at: int) -> dict:
    """One session with how it stands in its own history: strictly prior sessions, its own not among them."""
    session, before = sessions[at], finals(sessions[:at])
    flow, recent = session["net_flow_usd"], finals(sessions[max(0, at - 60) : at])
    centre = median(recent) if recent else None
    spread = Decimal("1.4826") * median(abs(v - centre) for v in recent) if recent else 0
    good = session["obs_status"] == "final" and len(recent) >= 48
    smaller = sum(abs(v) <= abs(flow) for v in before) if flow is not None else 0
    return session | {
        "cum5_usd": summed(sessions, at, 5), "cum20_usd": summed(sessions, at, 20), "streak": streak(sessions, at),
        "z60": ratio(flow - centre, spread) if good else None, "n_prior_sessions": len(before),
        "abs_flow_pctile": ratio(smaller, len(before)) if flow is not None else None,
    }  # fmt: skip


@pytest.mark.parametrize(("asset", "n"), [("BTC", 515), ("ETH", 383)])
def test_every_score_of_every_session(ask, asset: str, n: int) -> None:
    """All sessions of the record; nothing is scored that the model says is NULL, and the other way round."""
    told = ask(f"select session_date, {', '.join(SCORES)} from marts.fct_etf_flow_agg_daily where asset = '{asset}' "
               "order by 1")  # fmt: skip
    assert len(told) == n
    with localcontext(prec=60):
        sessions = sessions_of(ask, asset)
        assert [s["session_date"] for s in sessions] == [row[0] for row in told]
        wrong = [
            (day, name, value, expected[name])
            for at, (day, *values) in enumerate(told)
            for expected in [scored(sessions, at)]
            for name, value in zip(SCORES, values, strict=True)
            if not near(value, expected[name])
        ]
    assert wrong == []
    assert {name for name, column in zip(SCORES, zip(*[r[1:] for r in told], strict=True), strict=True)
            if all(v is None for v in column)} == set()  # fmt: skip


Leg = tuple[date, datetime, tuple[Decimal, ...]]  # dated, known from, rate (and the band's ends)


def market_leg(ask, series_id: str) -> list[Leg]:
    """A curve's point by day, from the source of the best rank."""
    rows = ask(f"""select event_date, known_from, value, rank from marts.fct_observation as o
        inner join marts.dim_source as s on o.source_id = s.source_id where series_id = '{series_id}' and
        known_to is null and value is not null and obs_status not in ('held', 'retracted') order by event_date, rank desc""")
    return sorted({day: (day, known, (value,)) for day, known, value, _ in rows}.values())


def policy_leg(ask, bank: str) -> list[Leg]:
    """A bank's rate by the day from which it was in force."""
    return ask(f"""select coalesce(effective_date, decision_date), known_from,
        [rate_after_pct, rate_after_lower_pct, rate_after_upper_pct] from marts.fct_policy_decision
        where bank = '{bank}' order by 1""")


def newest(legs: list[Leg], day: date, *, known_by: datetime | None = None, days: int | None = None) -> Leg | None:
    """The leg in force on a day: of those known by an instant, and so many days old at most, if that is asked."""
    good = [leg for leg in legs if leg[0] <= day and (known_by is None or leg[1] <= known_by)
            and (days is None or leg[0] > day - timedelta(days=days))]  # fmt: skip
    return max(good, key=lambda leg: leg[0], default=None)


def gap(us: Leg | None, jp: Leg | None, us_end: int = 0) -> Decimal | None:
    """US minus Japan in basis points."""
    if us is None or jp is None or us[2][us_end] is None:
        return None
    return (us[2][us_end] - jp[2][0]) * 100


@pytest.mark.parametrize("tenor", ["policy", "2y", "10y"])
def test_every_rate_difference(ask, tenor: str) -> None:
    """Both legs of the day or no difference; what was known at 21:00 UTC is held; policy steps when it takes effect."""
    policy = tenor == "policy"
    sides = [("US", "FOMC"), ("JP", "BOJ")]
    us, jp = (
        policy_leg(ask, bank) if policy else market_leg(ask, f"YIELD.{side}.{tenor.upper()}") for side, bank in sides
    )
    assert us
    assert jp
    told = ask(f"""select event_date, us_pct, jp_pct, diff_bp, diff_lower_bp, diff_upper_bp, us_known_date,
        jp_known_date, diff_known_bp from marts.fct_rate_differential_daily where tenor = '{tenor}' order by 1""")
    days = [row[0] for row in told]
    assert (days[0], days[-1]) == (min(us[0][0], jp[0][0]), PACK_CLOCK.date())
    assert all(b - a == timedelta(days=1) for a, b in pairwise(days))
    for day, *row in told:
        at = datetime.combine(day, datetime.min.time(), PACK_CLOCK.tzinfo) + timedelta(hours=21)
        dated = [newest(legs, day, days=None if policy else 1) for legs in (us, jp)]
        known = [newest(legs, day, known_by=at, days=None if policy else 31) for legs in (us, jp)]
        assert row == [
            *(leg and leg[2][0] for leg in dated), gap(*dated),
            *(gap(*dated, us_end=end) if policy else None for end in (1, 2)),
            *(leg and leg[0] for leg in known), gap(*known),
        ], day  # fmt: skip
    assert sum(row[3] is not None for row in told) > 100
