"""The acceptance questions as an analyst would ask them, by `capmig sql` on the warehouse made from the pack."""

import json
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

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
