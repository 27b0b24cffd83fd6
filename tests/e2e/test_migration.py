"""Incidents, filings, channel flows and the migration label on the warehouse made from the pack: acceptance 22 to 24."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from tests.e2e.test_acceptance import SHUT, ask, lines, one

COINS = ("usdt", "usdc", "dai", "usde")
CHANNELS = {"ETF_BTC", "ETF_ETH", "STABLE", "DEX_PERP", "ONCHAIN_YIELD"}


def test_22_what_was_stolen_returned_and_is_open(pack_home: Path) -> None:
    """Makina: 1,299 taken, 920 back, 103 kept as a bounty, 276 open; the identity holds; both days stand."""
    row = one(pack_home, "select * from marts.fct_security_incident where incident_id = 'INCIDENT.makina.2026-01-20'")
    assert [row[n] for n in ("stolen_native", "returned_native", "bounty_native", "outstanding_native")] == [
        1299, 920, 103, 276,
    ]  # fmt: skip
    assert (row["native_asset"], row["days_to_return"], row["evidence_status"]) == ("ETH", 2, "claim")
    assert abs(row["recovery_ratio_native"] - Decimal(920) / 1299) < Decimal("0.0000001")
    assert (row["event_date"], row["date_status"], row["grade"]) == ("2026-01-20", "conflict", "D")
    assert row["dates_told"].startswith("2026-01-20 ") and "2026-01-19 defillama" in row["dates_told"]
    assert "returned_native 0 cryptoslate" in row["told_otherwise"]
    assert ask(pack_home, "select * from marts.fct_security_incident where incident_id like '%makina.2026-01-19'") == []


def test_22_every_incident_with_its_base_rate(pack_home: Path) -> None:
    """Thirty days up to each incident, counted again here; a ratio only where the parts are told in one coin."""
    rows = ask(pack_home, "select * from marts.fct_security_incident order by event_date")
    for row in rows:
        end = date.fromisoformat(row["event_date"])
        near = [r for r in rows if end - timedelta(days=29) <= date.fromisoformat(r["event_date"]) <= end]
        assert row["n_incidents_30d"] == len(near)
        assert (row["loss_30d_usd"] or 0) == sum(r["loss_usd"] or 0 for r in near)
        parts = [row[f"{n}_native"] for n in ("returned", "bounty", "outstanding")]
        if row["stolen_native"] is not None and None not in parts:
            assert abs(row["stolen_native"] - sum(parts)) <= 2
    assert len(rows) >= 1


def test_23_the_states_of_a_filing_in_order(pack_home: Path) -> None:
    """Nasdaq's limit: filed 7 January, in force 21 January; the report of another day stays, grade D, and is marked."""
    rule = "rule_id = 'NASDAQ.CRYPTO_ETF_OPTION_LIMIT.2026'"
    rows = ask(pack_home, f"select * from marts.fct_regulatory_event where {rule} order by status_no")
    assert [(r["rule_status"], r["event_date"], r["is_latest"]) for r in rows] == [
        ("effective", "2025-03-12", False), ("filed", "2026-01-07", False), ("effective", "2026-01-21", True),
    ]  # fmt: skip
    assert {(r["grade"], r["needs_primary"], r["limit_value"], r["limit_change"]) for r in rows} == {
        ("D", True, 25000, "removed")
    }
    assert [r["agreement_status"] for r in rows] == ["conflict", "single_source", "conflict"]
    known = one(pack_home, f"select rule_status from marts.fct_regulatory_event where {rule} and is_latest",
                "--as-of", "2026-01-23T03:07Z")  # fmt: skip
    assert known == {"rule_status": "effective"}  # to call it proposed on that day was stale
    ise = ask(pack_home, "select rule_status, limit_value from marts.fct_regulatory_event "
                         "where rule_id = 'SR-ISE-2024-03' order by status_no")  # fmt: skip
    states = ["filed", "noticed", "extended", "instituted", "extended", "approved"]
    assert [r["rule_status"] for r in ise] == states and ise[-1]["limit_value"] == 25000


def test_24_no_migration_is_told_without_two_channels_on_the_chain(pack_home: Path) -> None:
    """Every session of the record is INSUFFICIENT, says which channel lacks, and says what would change it."""
    rows = ask(pack_home, "select * from marts.mart_capital_migration_daily order by session_date")
    assert {row["label"] for row in rows} == {"INSUFFICIENT"} and {row["grade"] for row in rows} == {"D"}
    day = next(row for row in rows if row["session_date"] == "2026-01-23")
    assert (day["n_channels_k"], day["n_channels_o"], day["link_kind"]) == (2, 1, "comovement")
    assert "DEX_PERP (no record)" in day["label_reason"] and "DEX_PERP" in day["would_change_it"]
    assert day["migration_index"] is not None and day["flow_k_5d_usd"] < 0
    head = one(pack_home, "select value, status, value_text from marts.mart_daily_brief "
                          "where headline like 'Migration between%'")  # fmt: skip
    assert head["value"] is None and head["status"] == "source_gap" and head["value_text"].startswith("insufficient")


def test_41_issuance_of_every_session_from_the_coins_themselves(pack_home: Path) -> None:
    """The channel's dollars are the change of all coins since the session before; shares add up to one."""
    supply: dict[date, Decimal] = defaultdict(Decimal)
    for coin in COINS:
        for row in lines(f"replay/pack/defillama_stablecoins__{coin}.csv"):
            supply[date.fromisoformat(row["period"])] += Decimal(row["value"])
    rows = ask(pack_home, "select * from marts.fct_channel_flow_daily order by session_date")
    stable = [row for row in rows if row["channel"] == "STABLE" and row["obs_status"] == "final"]
    for row in stable:
        session = date.fromisoformat(row["session_date"])
        if session < date(2025, 9, 15):  # the closed days that are listed here begin after Labor Day
            continue
        before = max(d for n in range(1, 6) if (d := session - timedelta(days=n)).weekday() < 5 and d not in SHUT)
        assert row["flow_usd"] == supply[session] - supply[before], session
    assert len(stable) > 100 and {row["channel"] for row in rows} <= CHANNELS
    shared: dict[str, list[Decimal]] = defaultdict(list)
    for row in rows:
        if row["share_of_gross"] is not None:
            shared[row["session_date"]].append(row["share_of_gross"])
    assert all(abs(sum(shares) - 1) < Decimal("0.0000001") for shares in shared.values()) and len(shared) > 100
