"""The acceptance questions as an analyst would ask them, by `capmig sql` on the warehouse made from the pack.

Each for the day on record, and by the same SQL for other days, whose answers are computed here in plain Python from the
pack's own CSV files and the curated rows. That nothing later is in a table, that a rebuild without what came later is
byte-equal and that the order of ingestion changes nothing stands in `test_time_machine.py`; every score once more in
exact arithmetic in `test_scores.py`.
"""

import csv
import json
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import include
from include.answers import reader
from include.replay import PACK_CLOCK
from include.replay.farside import _btc
from tests.conftest import capmig


def ask(home: Path, sql: str, *args: str) -> list[dict]:
    """Rows of one statement as `capmig sql --format json` prints them; as-of questions start the command itself."""
    if args:
        done = capmig(home, "sql", sql, "--format", "json", *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout, parse_float=Decimal)
    out = StringIO()
    with reader.connect(home / "serve" / "warehouse.duckdb") as con:
        reader.write(reader.query(con, sql), "json", out)
    return json.loads(out.getvalue(), parse_float=Decimal)


def one(home: Path, sql: str, *args: str) -> dict:
    """The only row of a statement."""
    rows = ask(home, sql, *args)
    assert len(rows) == 1
    return rows[0]


FLOW = "select * from marts.fct_etf_flow_agg_daily where asset = 'BTC' and session_date = '{day}'"
AS_KNOWN = """
select sum(net_flow_usd) as net_flow_usd, count(*) as n_funds from marts.fct_etf_flow_daily
where asset = 'BTC' and session_date = '2026-01-22' and source_id = 'farside' and ticker != 'TOTAL'
    and net_flow_usd is not null
    and known_from <= timestamptz '{at}' and (known_to is null or timestamptz '{at}' < known_to)
"""


def test_1_votes(pack_home: Path) -> None:
    """BOJ, 23 January 2026: eight for, one against, nine members."""
    row = one(pack_home, "select vote, count(*) as n from marts.fct_policy_vote where meeting_id = 'BOJ.2026-01-23' "
                         "and vote = 'against' group by vote")  # fmt: skip
    assert row == {"vote": "against", "n": 1}
    head = one(pack_home, "select votes_for, votes_against, n_members from marts.fct_policy_decision "
                          "where meeting_id = 'BOJ.2026-01-23'")  # fmt: skip
    assert head == {"votes_for": 8, "votes_against": 1, "n_members": 9}


def test_2_rate_before_and_after(pack_home: Path) -> None:
    """0.75 held; in December 0.50 to 0.75, effective on the 22nd."""
    sql = "select rate_before_pct, rate_after_pct, change_bp, effective_date from marts.fct_policy_decision where meeting_id = '{}'"
    held = one(pack_home, sql.format("BOJ.2026-01-23"))
    assert (held["rate_before_pct"], held["rate_after_pct"], held["change_bp"]) == (Decimal("0.75"), Decimal("0.75"), 0)
    raised = one(pack_home, sql.format("BOJ.2025-12-19"))
    assert (raised["rate_before_pct"], raised["change_bp"], raised["effective_date"]) == (
        Decimal("0.5"),
        25,
        "2025-12-22",
    )


def test_3_dissenter_and_alias(pack_home: Path) -> None:
    """Takata preferred 1.00; the name in the article is a mistranslation, and never quite sure."""
    vote = one(pack_home, "select member_id, preferred_rate_pct from marts.fct_policy_vote "
                          "where meeting_id = 'BOJ.2026-01-23' and vote = 'against'")  # fmt: skip
    assert vote == {"member_id": "takata_hajime", "preferred_rate_pct": 1}
    alias = one(
        pack_home, "select entity_id, alias_kind, confidence from marts.dim_entity_alias where alias = 'Kōta Takeda'"
    )
    assert (alias["entity_id"], alias["alias_kind"]) == ("takata_hajime", "mistranslation")
    assert alias["confidence"] < 1


def test_5_policy_differential(pack_home: Path) -> None:
    """287.5 bp by midpoint, 275 and 300 by the band's ends."""
    row = one(pack_home, "select diff_bp, diff_lower_bp, diff_upper_bp from marts.fct_rate_differential_daily "
                         "where event_date = '2026-01-23' and tenor = 'policy'")  # fmt: skip
    assert row == {"diff_bp": Decimal("287.5"), "diff_lower_bp": 275, "diff_upper_bp": 300}


@pytest.mark.parametrize(
    ("day", "bp"), [("2025-12-10", "337.5"), ("2025-12-11", "312.5"), ("2025-12-21", "312.5"), ("2025-12-22", "287.5")]
)
def test_5_steps_on_the_effective_date(pack_home: Path, day: str, bp: str) -> None:
    """The FOMC's cut counts from 11 December, the BOJ's rise from the 22nd, on every calendar day."""
    row = one(
        pack_home,
        f"select diff_bp from marts.fct_rate_differential_daily where event_date = '{day}' and tenor = 'policy'",
    )
    assert row["diff_bp"] == Decimal(bp)


def test_6_decision_instant_in_three_zones(pack_home: Path) -> None:
    """12:07 in Tokyo is 03:07 UTC, and still the 22nd in New York."""
    row = one(
        pack_home,
        """
        select decided_at, slack_s, strftime(decided_at at time zone 'Asia/Tokyo', '%d %H:%M') as tokyo,
            strftime(decided_at at time zone 'America/New_York', '%d %H:%M') as new_york
        from marts.fct_policy_decision where meeting_id = 'BOJ.2026-01-23'""",
    )
    assert row == {"decided_at": "2026-01-23T03:07:00Z", "slack_s": 300, "tokyo": "23 12:07", "new_york": "22 22:07"}


def test_7_the_session_closed_before_the_decision(pack_home: Path) -> None:
    """The New York session of the 22nd closed 6 h 07 min before."""
    row = one(
        pack_home,
        """
        select date_diff('minute', session.close_at, decision.decided_at) as minutes
        from marts.fct_policy_decision as decision
        inner join marts.dim_market_session as session
            on session.calendar = 'NYSE' and session.session_date = '2026-01-22'
        where decision.meeting_id = 'BOJ.2026-01-23'""",
    )
    assert row["minutes"] == 6 * 60 + 7


def test_8_day_zero(pack_home: Path) -> None:
    """The first New York session to close after the decision is the 23rd's."""
    assert one(pack_home, "select nyse_day0_date from marts.dim_event where event_id = 'BOJ.2026-01-23'") == {
        "nyse_day0_date": "2026-01-23"
    }


def test_9_lineages_and_measurements(pack_home: Path) -> None:
    """Two compilations of one measurement, half a per cent apart at most."""
    row = one(pack_home, FLOW.format(day="2026-01-22"))
    assert (row["n_lineages"], row["n_measurements"]) == (2, 1)
    assert row["spread_rel"] <= Decimal("0.005")
    assert row["agreement_status"] == "within_tolerance"


def test_11_funds_of_22_january(pack_home: Path) -> None:
    """IBIT and FBTC alone moved; the funds add up to the total."""
    rows = ask(pack_home, "select ticker, net_flow_usd, obs_status from marts.fct_etf_flow_daily where asset = 'BTC' and "
                          "session_date = '2026-01-22' and is_published_lineage and known_to is null and ticker != 'TOTAL'")  # fmt: skip
    flows = {r["ticker"]: r["net_flow_usd"] for r in rows}
    assert len(flows) == 11
    assert {t: v for t, v in flows.items() if v} == {"IBIT": -22_400_000, "FBTC": -9_800_000}
    assert {r["obs_status"] for r in rows if not r["net_flow_usd"]} == {"reported_zero"}
    assert sum(flows.values()) == one(pack_home, FLOW.format(day="2026-01-22"))["net_flow_usd"] == -32_200_000


@pytest.mark.parametrize(
    ("at", "flow", "n_funds", "status"),
    [("2026-01-23T03:07:00Z", -9_800_000, 10, "partial"), ("2026-01-23T05:07:00Z", -32_200_000, 11, "final")],
)
def test_12_as_known_at(pack_home: Path, at: str, flow: int, n_funds: int, status: str) -> None:
    """A build at T and the interval query over versions say the same; nothing known at T is later than T."""
    built = one(pack_home, FLOW.format(day="2026-01-22"), "--as-of", at)
    assert (built["net_flow_usd"], built["n_funds_reported"], built["n_funds_listed"]) == (flow, n_funds, 11)
    assert built["obs_status"] == status
    assert one(pack_home, AS_KNOWN.format(at=at)) == {"net_flow_usd": flow, "n_funds": n_funds}
    if status == "partial":
        assert Decimal("0.3") < built["completeness_aum"] < Decimal("0.5")
        assert [built[c] for c in ("cum5_usd", "cum20_usd", "streak", "z60")] == [None] * 4
    assert one(pack_home, "select max(known_from) <= '" + at + "' as ok from marts.fct_observation", "--as-of", at)[
        "ok"
    ]


def test_14_streak_and_four_sessions(pack_home: Path) -> None:
    """Four sessions out, 1,615.3 m by one compilation and 1,618.88 m by the other; 19 January was closed."""
    assert one(pack_home, FLOW.format(day="2026-01-22"))["streak"] == -4
    rows = ask(
        pack_home,
        """
        select source_id, sum(net_flow_usd) as flow, count(*) as n from marts.fct_etf_flow_daily
        where asset = 'BTC' and ticker = 'TOTAL' and known_to is null and net_flow_usd is not null
            and session_date between '2026-01-16' and '2026-01-22' group by 1 order by 1""",
    )
    assert rows == [
        {"source_id": "farside", "flow": -1_615_300_000, "n": 4},
        {"source_id": "sosovalue", "flow": -1_618_880_000, "n": 4},
    ]
    assert ask(pack_home, FLOW.format(day="2026-01-19")) == []
    assert one(pack_home, FLOW.format(day="2026-01-23"))["streak"] == -5


def test_16_materiality(pack_home: Path) -> None:
    """The 22 January move is small against its own history."""
    row = one(pack_home, FLOW.format(day="2026-01-22"))
    assert abs(row["abs_flow_pctile"] - Decimal("0.085")) <= Decimal("0.01")
    assert row["n_prior_sessions"] == 508
    assert round(row["z60"], 2) == Decimal("0.32")
    assert abs(row["pct_aum_bp"] - Decimal("-2.7")) <= Decimal("0.1")
    assert round(row["breadth_out"], 3) == Decimal("0.182")
    assert round(row["flow_hhi"], 3) == Decimal("0.577")
    assert (row["cum5_usd"], row["cum20_usd"]) == (-1_515_100_000, -665_700_000)


def test_totals_as_known_at_every_instant_of_the_window(pack_home: Path) -> None:
    """At each of the record's 363 instants, every recent session is the sum of the cells that the page then showed."""
    known = """
        select session_date, sum(net_flow_usd) as flow from marts.fct_etf_flow_daily
        where asset = 'BTC' and source_id = 'farside' and ticker != 'TOTAL' and net_flow_usd is not null
            and known_from <= timestamptz '{at}' and (known_to is null or timestamptz '{at}' < known_to)
            and session_date >= date '2025-10-15'
        group by 1"""
    instants = 0
    with reader.connect(pack_home / "serve" / "warehouse.duckdb") as con:
        for name, _, table, _ in _btc(PACK_CLOCK):
            at = name.removeprefix("btc__").removesuffix(".html")
            told = dict(
                reader.query(con, known.format(at=f"{at[:4]}-{at[4:6]}-{at[6:11]}:{at[11:13]}:{at[13:]}")).fetchall()
            )
            for day, row in table.items():
                funds = [value for fund, value in row.items() if fund != "Total"]
                if day >= date(2025, 10, 15):
                    assert told.get(day) == (sum(funds) * 1_000_000 if funds else None), f"{day} as known at {at}"
            instants += 1
    assert instants == 363


# The same SQL for other days. What is expected comes from the files, not from our tables.

HERE = Path(include.__file__).parent
SHUT = {date(2025, 11, 27), date(2025, 12, 25), date(2026, 1, 1), date(2026, 1, 19)}  # NYSE, September to January
WINDOW = (date(2025, 12, 1), date(2026, 1, 30))
Table = dict[date, dict[str, Decimal]]


def lines(path: str) -> list[dict[str, str]]:
    """A CSV file of the package."""
    with (HERE / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def page_at(at: str = "9999") -> Table:
    """Farside's Bitcoin table as it stood at an instant, in dollars: the newest figure of every cell."""
    table: Table = defaultdict(dict)
    for row in sorted(lines("replay/pack/farside__btc.csv"), key=lambda r: r["known_from"]):
        if row["known_from"] <= at:
            table[date.fromisoformat(row["period"])][row["series"]] = Decimal(row["value"]) * 10**6
    return {day: table[day] for day in sorted(table)}


def funds_of(row: dict[str, Decimal]) -> dict[str, Decimal]:
    return {fund: value for fund, value in row.items() if fund != "Total"}


def sessions_on_record() -> dict[date, dict[str, Decimal]]:
    """Every open session's funds; a printed zero on a closed day is none."""
    return {day: funds for day, row in page_at().items() if (funds := funds_of(row)) and day not in SHUT}


def decisions() -> list[dict[str, str]]:
    return lines("sources/events/curated_rows/policy_decision.csv")


def middle(row: dict[str, str], when: str) -> Decimal:
    """A bank's one target, or the middle of its band."""
    if row[f"rate_{when}_pct"]:
        return Decimal(row[f"rate_{when}_pct"])
    return (Decimal(row[f"rate_{when}_lower_pct"]) + Decimal(row[f"rate_{when}_upper_pct"])) / 2


def test_4_previous_meeting(pack_home: Path) -> None:
    """The meeting before: 9 to 0, from 0.50 to 0.75. And so for every meeting of both banks."""
    rows = ask(pack_home, """
        select meeting_id, lag(meeting_id) over earlier as previous, lag(votes_for) over earlier as votes_for,
            lag(votes_against) over earlier as votes_against, lag(rate_before_pct) over earlier as before,
            lag(rate_after_pct) over earlier as after
        from marts.fct_policy_decision window earlier as (partition by bank order by decision_date)""")  # fmt: skip
    told = {r["meeting_id"]: tuple(r.values())[1:] for r in rows}
    assert told["BOJ.2026-01-23"] == ("BOJ.2025-12-19", 9, 0, Decimal("0.5"), Decimal("0.75"))
    for bank in ("BOJ", "FOMC"):
        meetings = sorted((d for d in decisions() if d["bank"] == bank), key=lambda d: d["event_date"])
        for previous, meeting in zip(meetings, meetings[1:], strict=False):
            assert told[meeting["event_id"]] == (
                previous["event_id"], int(previous["votes_for"]), int(previous["votes_against"]),
                middle(previous, "before"), middle(previous, "after"),
            )  # fmt: skip
    assert len(told) == len(decisions()) == 34


def test_1_and_2_every_meeting(pack_home: Path) -> None:
    """Votes, members where they are on record, and the rate before and after, of every decision."""
    told = {r["meeting_id"]: r for r in ask(pack_home, "select * from marts.fct_policy_decision")}
    members: dict[str, set[str]] = defaultdict(set)
    for vote in lines("sources/events/curated_rows/policy_vote.csv"):
        members[vote["meeting_id"]].add(vote["member_id"])
    for meeting in decisions():
        row = told[meeting["event_id"]]
        votes = (int(meeting["votes_for"]), int(meeting["votes_against"]))
        assert (row["votes_for"], row["votes_against"]) == votes
        assert row["n_members"] == (len(members[meeting["event_id"]]) or None)
        assert row["n_members"] in (None, sum(votes))
        assert row["change_bp"] == (middle(meeting, "after") - middle(meeting, "before")) * 100
    assert sum(bool(m) for m in members.values()) >= 4


def test_5_policy_differential_around_every_step(pack_home: Path) -> None:
    """On the day before, of and after every decision and its effect: both rates in force, by effective date."""
    steps = {(d["bank"], date.fromisoformat(d["effective_date"] or d["event_date"])): middle(d, "after")
             for d in decisions()}  # fmt: skip
    told = {r["event_date"]: r["diff_bp"] for r in ask(pack_home, "select event_date, diff_bp from "
            "marts.fct_rate_differential_daily where tenor = 'policy'")}  # fmt: skip
    days = {date.fromisoformat(d[k]) + timedelta(days=n) for d in decisions() for k in ("event_date", "effective_date")
            if d[k] for n in (-1, 0, 1)}  # fmt: skip
    checked = 0
    for day in sorted(days):
        legs = [max(((on, rate) for (b, on), rate in steps.items() if b == bank and on <= day), default=None)
                for bank in ("FOMC", "BOJ")]  # fmt: skip
        if all(legs):
            assert told[day.isoformat()] == (legs[0][1] - legs[1][1]) * 100, day
            checked += 1
    assert checked >= 20


def test_6_to_8_every_event_with_an_instant(pack_home: Path) -> None:
    """Wall time in Tokyo and New York, minutes since the last New York close, and day 0, from the zones' own rules."""
    rows = ask(pack_home, """
        select event_id, event_at, strftime(event_at at time zone 'Asia/Tokyo', '%d %H:%M') as tokyo,
            strftime(event_at at time zone 'America/New_York', '%d %H:%M') as new_york,
            date_diff('minute', nyse_last_close_at, event_at) as minutes, nyse_day0_date
        from marts.dim_event where event_at is not null""")  # fmt: skip
    new_york = ZoneInfo("America/New_York")
    assert len(rows) == 22
    for row in rows:
        at = datetime.fromisoformat(row["event_at"])
        near = [at.astimezone(new_york).date() + timedelta(days=n) for n in range(-5, 6)]
        closes = {
            datetime.combine(day, time(16), new_york): day for day in near if day.weekday() < 5 and day not in SHUT
        }
        assert row["tokyo"] == at.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%d %H:%M")
        assert row["new_york"] == at.astimezone(new_york).strftime("%d %H:%M")
        last = max(close for close in closes if close <= at)
        assert row["minutes"] == (at - last).total_seconds() / 60
        assert row["nyse_day0_date"] == closes[min(close for close in closes if close > at)].isoformat()


def test_9_every_session_of_two_compilations(pack_home: Path) -> None:
    """Both totals side by side, and how far they lie apart; 22 January by publisher."""
    rows = ask(pack_home, """
        select session_date, source_id, net_flow_usd from marts.fct_etf_flow_daily where asset = 'BTC'
            and ticker = 'TOTAL' and known_to is null and net_flow_usd is not null order by all""")  # fmt: skip
    told = {(r["session_date"], r["source_id"]): r["net_flow_usd"] for r in rows}
    assert (told["2026-01-22", "sosovalue"], told["2026-01-22", "farside"]) == (-32_110_000, -32_200_000)
    printed = page_at()
    for row in lines("replay/pack/sosovalue__history_btc.csv"):
        day = date.fromisoformat(row["period"])
        second, first = Decimal(row["value"]) * 10**6, printed[day]["Total"]
        assert (told[row["period"], "sosovalue"], told[row["period"], "farside"]) == (second, first)
        flow = one(pack_home, FLOW.format(day=day))
        assert (flow["n_lineages"], flow["n_measurements"], flow["source_id"]) == (2, 1, "farside")
        assert abs(flow["spread_rel"] - abs(first - second) / abs(first)) < Decimal("0.0000001")


def test_11_every_session_of_the_window(pack_home: Path) -> None:
    """Each fund of each session as printed, reported zeros apart, and their sum."""
    rows = ask(pack_home, f"""
        select session_date, ticker, net_flow_usd, obs_status from marts.fct_etf_flow_daily where asset = 'BTC' and
            source_id = 'farside' and known_to is null and ticker != 'TOTAL' and net_flow_usd is not null
            and session_date between '{WINDOW[0]}' and '{WINDOW[1]}'""")  # fmt: skip
    told: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in rows:
        told[row["session_date"]][row["ticker"]] = row["net_flow_usd"]
        assert (row["obs_status"] == "reported_zero") == (row["net_flow_usd"] == 0)
    expected = {d.isoformat(): f for d, f in sessions_on_record().items() if WINDOW[0] <= d <= WINDOW[1]}
    assert told == expected
    assert len(expected) >= 39
    totals = {r["session_date"]: r["net_flow_usd"] for r in ask(pack_home, "select session_date, net_flow_usd from "
              "marts.fct_etf_flow_agg_daily where asset = 'BTC'")}  # fmt: skip
    assert {day: totals[day] for day in expected} == {day: sum(funds.values()) for day, funds in expected.items()}


@pytest.mark.parametrize("at", ["2025-12-02T01:00:00Z", "2025-12-10T19:00:00Z", "2025-12-19T03:30:00Z",
                                "2026-01-14T02:30:00Z", "2026-01-23T02:00:29Z", "2026-01-23T02:00:30Z",
                                "2026-01-28T19:00:00Z"])  # fmt: skip
def test_12_as_known_at_other_instants(pack_home: Path, at: str) -> None:
    """The funds of every session that had reported by then, on the microsecond."""
    sql = (
        AS_KNOWN.format(at=at)
        .replace("sum(net", "session_date, sum(net")
        .replace("session_date = '2026-01-22'", "true")
    )
    told = {
        r["session_date"]: (r["net_flow_usd"], r["n_funds"]) for r in ask(pack_home, sql + " group by session_date")
    }
    known = {day: funds for day, row in page_at(at).items() if (funds := funds_of(row)) and day.isoformat() in told}
    newest = max(day for day, row in page_at(at).items() if funds_of(row))
    assert newest.isoformat() in told
    assert told == {day.isoformat(): (sum(funds.values()), len(funds)) for day, funds in known.items()}


def run_of(flows: list[Decimal]) -> int:
    """Signed length of the run at the end."""
    sign = (flows[-1] > 0) - (flows[-1] < 0)
    length = next((n for n, flow in enumerate(reversed(flows)) if flow * sign <= 0), len(flows))
    return sign * length


def complete(until: date) -> list[Decimal] | None:
    """Totals of the sessions up to a day, newest last, back to the last one that lacks a fund."""
    flows: list[Decimal] = []
    for day, funds in sessions_on_record().items():
        if day <= until:
            flows = [*flows, sum(funds.values(), Decimal(0))] if len(funds) == 11 else []
    return flows


def test_14_and_16_every_session_of_the_window(pack_home: Path) -> None:
    """Runs, sums of four and five sessions across Thanksgiving, Christmas, New Year and 19 January, and the rank."""
    rows = ask(pack_home, f"""
        select session_date, streak, cum5_usd, abs_flow_pctile, n_prior_sessions, sum(net_flow_usd) over (
            order by session_date rows 3 preceding) as four
        from marts.fct_etf_flow_agg_daily where asset = 'BTC'
        qualify session_date between '{WINDOW[0]}' and '{WINDOW[1]}' order by session_date""")  # fmt: skip
    checked = 0
    for row in rows:
        flows = complete(date.fromisoformat(row["session_date"]))
        assert not SHUT & {date.fromisoformat(row["session_date"])}
        if len(flows) > 60 and abs(run_of(flows)) < len(flows):
            assert (row["four"], row["cum5_usd"]) == (sum(flows[-4:]), sum(flows[-5:]))
            assert row["streak"] == run_of(flows)
            checked += 1
        if row["n_prior_sessions"] == len(flows) - 1:
            smaller = sum(abs(flow) <= abs(flows[-1]) for flow in flows[:-1])
            assert abs(row["abs_flow_pctile"] - Decimal(smaller) / (len(flows) - 1)) < Decimal("0.0000001")
    assert checked >= 35
    assert {r["session_date"]: r["four"] for r in rows}["2026-01-22"] == -1_615_300_000


WEEKS = """
    select date_trunc('week', session_date)::date as week, sum(net_flow_usd) as flow from marts.fct_etf_flow_daily
    where asset = 'BTC' and ticker = 'TOTAL' and source_id = '{source}' and known_to is null and net_flow_usd is not null
    group by 1 order by 1
"""


def test_15_week_totals(pack_home: Path) -> None:
    """19 to 23 January: -1,327.77 m by SoSoValue; and every week on record by Farside's printed totals."""
    week = {r["week"]: r["flow"] for r in ask(pack_home, WEEKS.format(source="sosovalue"))}
    assert week["2026-01-19"] == -1_327_770_000
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for day, row in page_at().items():
        if "Total" in row and funds_of(row):
            expected[(day - timedelta(days=day.weekday())).isoformat()] += row["Total"]
    assert {r["week"]: r["flow"] for r in ask(pack_home, WEEKS.format(source="farside"))} == expected
    assert len(expected) > 100


def test_invariant_5_every_figure_names_its_source_and_its_bytes(pack_home: Path) -> None:
    """From every version to a payload that landed: none without."""
    for table in ("fct_observation", "fct_etf_flow_daily", "fct_revision", "fct_policy_decision", "fct_policy_vote",
                  "mart_decision_feature"):  # fmt: skip
        row = one(pack_home, f"""
            select count(*) as n, count(*) filter (landed.payload_sha256 is null or fact.source_id is null) as lost
            from marts.{table} as fact left join (
                select distinct source_id, payload_sha256 from ops.fct_fetch_outcome where outcome = 'LANDED'
            ) as landed on fact.source_id = landed.source_id and fact.payload_sha256 = landed.payload_sha256""")  # fmt: skip
        assert (row["n"] > 0, row["lost"]) == (True, 0), table


def test_invariant_6_nothing_is_scored_over_an_input_that_is_not_there(pack_home: Path) -> None:
    """A session that is not final has no score, and none of the five that follow it has a sum over it."""
    rows = ask(pack_home, """
        select asset, obs_status, cum5_usd, cum20_usd, streak, z60, bool_or(obs_status != 'final') over (
            partition by asset order by session_date rows 4 preceding) as lacking
        from marts.fct_etf_flow_agg_daily""")  # fmt: skip
    unfinished = [r for r in rows if r["obs_status"] != "final"]
    assert {r["obs_status"] for r in unfinished} >= {"partial"}
    assert [r for r in unfinished if any(r[c] is not None for c in ("cum5_usd", "cum20_usd", "streak", "z60"))] == []
    assert [r for r in rows if r["lacking"] and r["cum5_usd"] is not None] == []
