"""Channel flows and the migration index against a plain reading of their cards, and the properties that they promise.

The compiled statements run over channels drawn at random: no build, no other model.
"""

import csv
import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import sqrt
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa
import pytest

COMPLIANT, ONCHAIN = ("ETF_BTC", "ETF_ETH"), ("STABLE", "DEX_PERP", "ONCHAIN_YIELD")
SIDES = dict.fromkeys(COMPLIANT, "K") | dict.fromkeys(ONCHAIN, "O")
FIRST, DAY = date(2026, 1, 5), timedelta(days=1)
SESSIONS = [FIRST + timedelta(days=n) for n in range(60) if (FIRST + timedelta(days=n)).weekday() < 5]
INPUT = ("session_date date, channel text, channel_set text, score decimal(18, 8), cum5_usd decimal(24, 2), "
         "obs_status text, grade text, score_reason text, scores_known_from timestamptz")  # fmt: skip
Row = dict


@pytest.fixture(scope="module")
def compiled(pack_home: Path) -> dict[str, str]:
    """The compiled statements of the two models by name."""
    newest = max(pack_home.glob("build/run-*"), key=lambda p: p.stat().st_mtime)
    names = ("fct_channel_flow_daily", "mart_capital_migration_daily")
    folder = newest / "target" / "compiled"
    return {name: next(folder.rglob(f"marts/migration/{name}.sql")).read_text(encoding="utf-8") for name in names}


def drawn(seed: int, trend: float = 0.0) -> list[Row]:
    """Channel sessions: scores and sums of one sign more often than not, some grades, some gaps."""
    rng = random.Random(seed)  # noqa: S311 - repeatable
    rows = []
    for channel, side in SIDES.items():
        for session in SESSIONS:
            missing = rng.random() < 0.05
            score = round(rng.gauss(trend if side == "O" else -trend, 1), 8)
            rows.append({
                "session_date": session, "channel": channel, "channel_set": side,
                "score": None if missing else Decimal(str(max(-5, min(5, score)))),
                "cum5_usd": None if missing or rng.random() < 0.03 else Decimal(round(score * 1e8)),
                "obs_status": "partial" if missing else "final", "grade": rng.choice("ABCC" + "D" * (seed % 2)),
                "score_reason": "not_final" if missing else None,
                "scores_known_from": datetime.fromisoformat(f"{session}T23:00:00+00:00"),
            })  # fmt: skip
    return rows


def index(statement: str, rows: list[Row]) -> dict[date, Row]:
    """The mart over these channel sessions."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; attach ':memory:' as scratch")
        con.execute(f"create schema warehouse.marts; create table warehouse.marts.fct_channel_flow_daily ({INPUT})")
        con.execute(
            "create schema scratch.ledger; create table scratch.ledger.channel (channel text, channel_set text, "
            "is_estimate boolean)"
        )
        channels = ((channel, side, channel == "DEX_PERP") for channel, side in SIDES.items())
        con.execute(f"insert into scratch.ledger.channel values {', '.join(map(str, channels))}")
        con.register("drawn", pa.Table.from_pylist(rows))
        con.execute("insert into warehouse.marts.fct_channel_flow_daily by name from drawn")
        told = con.execute(statement)
        names = [column[0] for column in told.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in told.fetchall()}


def is_in(row: Row) -> bool:
    """Whether a channel takes part in the session's index."""
    return row["score"] is not None and row["obs_status"] == "final" and row["grade"] in "ABC"


def expected(rows: list[Row]) -> dict[date, tuple]:
    """(index, smoothed, label) of every session by the card, one session after another."""
    told, history, smoothed, quorums = {}, [], [], []
    for session in SESSIONS:
        of = [row for row in rows if row["session_date"] == session and is_in(row)]
        sides = {side: [r for r in of if r["channel_set"] == side] for side in "KO"}
        value = None
        if all(sides.values()):
            means = {s: sum(float(r["score"]) for r in side) / len(side) for s, side in sides.items()}
            value = (means["O"] - means["K"]) / sqrt(sum(1 / len(side) for side in sides.values()))
            history.append(value)
        weights = [0.5 ** (n / 5) for n in range(len(history))][::-1]
        ewma = sum(w * v for w, v in zip(weights, history, strict=True)) / sum(weights) if value is not None else None
        smoothed.append(ewma)
        quorums.append(len(sides["K"]) == 2 and len(sides["O"]) >= 2)
        told[session] = (value, ewma, label(quorums, smoothed, sides))
    return told


def label(quorums: list[bool], smoothed: list, sides: dict[str, list[Row]]) -> str:
    """The two-sided label of the newest session."""
    sums = {s: [r["cum5_usd"] for r in side] for s, side in sides.items()}
    if not quorums[-1] or None in sums["K"] + sums["O"]:
        return "INSUFFICIENT"
    flow_k, flow_o = sum(sums["K"]), sum(sums["O"])
    three = len(quorums) >= 3 and all(quorums[-3:])
    if three and min(smoothed[-3:]) >= 1 and flow_k < 0 < flow_o:
        return "COMPLIANCE_TO_ONCHAIN"
    if three and max(smoothed[-3:]) <= -1 and flow_o < 0 < flow_k:
        return "ONCHAIN_TO_COMPLIANCE"
    if flow_k < 0 and flow_o < 0:
        return "BROAD_OUT"
    return "BROAD_IN" if flow_k > 0 and flow_o > 0 else "MIXED"


def close(told: Decimal | None, value: float | None) -> bool:
    """Equal to the seventh digit, or both absent."""
    return told is value if told is None or value is None else abs(float(told) - value) < 1e-7


DRAWS = [(seed, trend) for seed in range(6) for trend in (-1.5, 0.0, 1.5)]


def test_the_index_its_mean_and_every_label_are_those_of_the_card(compiled: dict[str, str]) -> None:
    """Against the plain reading, over draws in which each label comes up."""
    seen = set()
    for seed, trend in DRAWS:
        rows = drawn(seed, trend)
        told, card = index(compiled["mart_capital_migration_daily"], rows), expected(rows)
        assert told.keys() == card.keys()
        for session, (value, ewma, name) in card.items():
            row = told[session]
            assert close(row["migration_index"], value) and close(row["migration_index_ewma"], ewma), (seed, session)
            assert row["label"] == name, (seed, session)
            assert row["label_reason"] and row["would_change_it"] and row["link_kind"] == "comovement"
            seen.add(name)
    assert seen == {"COMPLIANCE_TO_ONCHAIN", "ONCHAIN_TO_COMPLIANCE", "BROAD_OUT", "BROAD_IN", "MIXED", "INSUFFICIENT"}


def test_sides_that_change_places_change_the_sign(compiled: dict[str, str]) -> None:
    """Antisymmetry: two channels a side, their figures exchanged, give the index with the other sign and label."""
    mirror = {"COMPLIANCE_TO_ONCHAIN": "ONCHAIN_TO_COMPLIANCE", "ONCHAIN_TO_COMPLIANCE": "COMPLIANCE_TO_ONCHAIN"}
    other = dict(zip(COMPLIANT + ONCHAIN[:2], ONCHAIN[:2] + COMPLIANT, strict=True))
    for seed, trend in DRAWS:
        rows = [row for row in drawn(seed, trend) if row["channel"] in other]
        swapped = [
            row | {"channel": other[row["channel"]], "channel_set": SIDES[other[row["channel"]]]} for row in rows
        ]
        there, back = (index(compiled["mart_capital_migration_daily"], r) for r in (rows, swapped))
        for session, row in there.items():
            for name in ("migration_index", "migration_index_ewma"):
                assert (row[name] is None and back[session][name] is None) or row[name] == -back[session][name]
            assert back[session]["label"] == mirror.get(row["label"], row["label"])


def test_nothing_later_changes_an_earlier_session(compiled: dict[str, str]) -> None:
    """No look-ahead: what is built of the sessions up to a day equals those rows of what is built of all."""
    for seed in range(2):
        rows = drawn(seed, 1.5)
        whole = index(compiled["mart_capital_migration_daily"], rows)
        for last in SESSIONS[::9]:
            until = index(compiled["mart_capital_migration_daily"], [r for r in rows if r["session_date"] <= last])
            assert until == {session: row for session, row in whole.items() if session <= last}
            assert all(row["known_from"].date() <= session for session, row in until.items())


def test_removed_evidence_never_raises_a_grade(compiled: dict[str, str]) -> None:
    """A channel that is taken away, lowered or not final leaves the grade where it was, or worse."""
    for seed in range(3):
        rows = drawn(seed)
        before = index(compiled["mart_capital_migration_daily"], rows)
        for channel in SIDES:
            for less in (None, {"grade": "D"}, {"score": None, "obs_status": "partial", "score_reason": "not_final"}):
                kept = [r if r["channel"] != channel else r | less for r in rows if less or r["channel"] != channel]
                after = index(compiled["mart_capital_migration_daily"], kept)
                assert all(after[session]["grade"] >= row["grade"] for session, row in before.items())


# Channel flows: sums, scores, shares.

SPAN = [FIRST + timedelta(days=n) for n in range(130)]
NYSE = [day for day in SPAN if day.weekday() < 5 and day != date(2026, 1, 19)]


def flows(statement: str, etf: dict[str, dict[date, Decimal | None]], coins: dict[str, dict[date, Decimal]],
          perps: dict[str, dict[date, tuple]]) -> dict:  # fmt: skip
    """The fact over fund flows (None: not yet known), coins' daily issuance, and open interest's change in notional with
    the capital behind it (None: no leverage known), by channel and session."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; attach ':memory:' as scratch")
        con.execute("create schema scratch.ledger; create schema scratch.landing; create schema warehouse.marts")
        con.execute("create table scratch.ledger.cutoff as select timestamptz '2026-12-31 00:00:00+00' as cutoff_at")
        channels = ", ".join(map(str, SIDES.items()))
        con.execute("create table scratch.ledger.channel as select *, channel = 'DEX_PERP' as is_estimate "
                    f"from (values {channels}) as t(channel, channel_set)")  # fmt: skip
        con.execute("create table scratch.ledger.venue as select 'V' as venue, 'DEX_PERP' as channel")
        con.register("open_day", pa.table({"session_date": NYSE}))
        con.execute("create table scratch.landing.market_session as select 'NYSE' as calendar, session_date, "
                    "session_date::timestamptz + interval 21 hour as close_at from open_day")  # fmt: skip
        kept = "n_lineages int, n_measurements int, grade text, known_from timestamptz)"
        con.execute("create table warehouse.marts.fct_etf_flow_agg_daily (asset text, session_date date, net_flow_usd "
                    f"decimal(24, 2), obs_status text, source_id text, {kept}")  # fmt: skip
        con.execute("create table warehouse.marts.fct_stablecoin_supply_daily (asset text, chain text, event_date date, "
                    f"net_issuance_usd decimal(24, 2), source_id text, {kept}")  # fmt: skip
        con.execute("create table warehouse.marts.fct_protocol_tvl_daily (subject text, subject_kind text, event_date "
                    f"date, net_deposit_usd decimal(24, 2), source_id text, {kept}")  # fmt: skip
        con.execute("create table warehouse.marts.fct_derivative_oi_daily (venue text, asset text, event_date date, "
                    "notional_change_usd decimal(24, 2), capital_flow_usd decimal(24, 2), source_id text, n_lineages int,"
                    " n_measurements int, grade text, capital_known_from timestamptz)")  # fmt: skip
        about = {"n_lineages": 1, "n_measurements": 1, "grade": "C"}
        fund_days = [
            {"asset": asset, "session_date": day, "net_flow_usd": flow, "known_from": day, "source_id": "f",
             "obs_status": "not_yet" if flow is None else "final"} | about
            for asset, by_day in etf.items() for day, flow in by_day.items()
        ]  # fmt: skip
        coin_days = [
            {"asset": coin, "chain": "all", "event_date": day, "net_issuance_usd": flow, "known_from": day + DAY,
             "source_id": "c"} | about
            for coin, by_day in coins.items() for day, flow in by_day.items()
        ]  # fmt: skip
        perp_days = [
            {"venue": "V", "asset": asset, "event_date": day, "notional_change_usd": notional, "source_id": "v",
             "capital_flow_usd": capital, "capital_known_from": day + DAY} | about
            for asset, by_day in perps.items() for day, (notional, capital) in by_day.items()
        ]  # fmt: skip
        for name, rows in (("fct_etf_flow_agg_daily", fund_days), ("fct_stablecoin_supply_daily", coin_days),
                           ("fct_derivative_oi_daily", perp_days)):  # fmt: skip
            con.register("drawn", pa.Table.from_pylist(rows))
            con.execute(f"insert into warehouse.marts.{name} by name from drawn")
        told = con.execute(statement)
        names = [column[0] for column in told.description]
        rows = [dict(zip(names, row, strict=True)) for row in told.fetchall()]
        return {(row["channel"], row["session_date"]): row for row in rows}


def record(seed: int, scale: int = 1) -> tuple[dict, dict, dict]:
    """Fund flows with a missing session, coins of which one starts late and one misses a day, and open interest on which
    no leverage is known until some day, and on one later day."""
    rng = random.Random(seed)  # noqa: S311 - repeatable
    etf = {asset: {day: Decimal(rng.randint(-500, 500)) * 10**6 * scale for day in NYSE} for asset in ("BTC", "ETH")}
    etf["ETH"][NYSE[-20]] = None
    coins = {coin: {day: Decimal(rng.randint(-90, 90)) * 10**5 * scale for day in SPAN} for coin in ("USDT", "DAI")}
    coins["DAI"] = {day: flow for day, flow in coins["DAI"].items() if day >= SPAN[10] and day != SPAN[95]}
    perps = {asset: {day: Decimal(rng.randint(-900, 900)) * 10**5 * scale for day in SPAN} for asset in ("BTC", "ETH")}
    unknown = {*SPAN[:4], SPAN[100]}
    return etf, coins, {
        asset: {day: (notional, None if day in unknown else notional / 5) for day, notional in by_day.items()}
        for asset, by_day in perps.items()
    }  # fmt: skip


def test_capital_behind_open_interest_is_told_where_leverage_is_known(compiled: dict[str, str]) -> None:
    """The change in notional always, the flow where every day has one, grade D throughout: it never enters the index."""
    etf, coins, perps = record(5)
    told = flows(compiled["fct_channel_flow_daily"], etf, coins, perps)
    statuses = set()
    for previous, session in zip(NYSE, NYSE[1:], strict=False):
        row = told["DEX_PERP", session]
        cells = [by_day[day] for by_day in perps.values() for day in SPAN if previous < day <= session]
        capital = [flow for _, flow in cells if flow is not None]
        assert row["notional_change_usd"] == sum(notional for notional, _ in cells)
        assert row["flow_usd"] == (sum(capital) if capital else None)
        status = "not_yet" if not capital else "final" if len(capital) == len(cells) else "partial"
        assert row["obs_status"] == status and row["is_estimate"] and row["grade"] == "D"
        assert row["flow_reason"] == (None if capital else "no_effective_leverage")
        statuses.add(status)
    assert statuses == {"not_yet", "partial", "final"} or statuses == {"not_yet", "final"}
    assert told["STABLE", NYSE[1]]["notional_change_usd"] is None and told["STABLE", NYSE[1]]["grade"] == "C"


def test_venues_are_added_up_only_where_they_are_known_to_count_alike() -> None:
    """A channel has one venue, or several of one convention that is known."""
    with (Path(__file__).resolve().parents[2] / "dbt_project" / "seeds" / "venue.csv").open(encoding="utf-8") as file:
        venues = list(csv.DictReader(file))
    by_channel: dict[str, list[str]] = {}
    for venue in venues:
        by_channel.setdefault(venue["channel"], []).append(venue["oi_convention"])
    assert by_channel.pop("") and by_channel
    for conventions in by_channel.values():
        assert "sides_apart" not in conventions
        assert len(conventions) == 1 or (len(set(conventions)) == 1 and "venue_raw" not in conventions)


def test_a_channel_that_never_closes_sums_the_days_since_the_session_before(compiled: dict[str, str]) -> None:
    """Over weekends and a holiday, of the coins that have begun; a missing day makes the session partial."""
    etf, coins, perps = record(1)
    told = flows(compiled["fct_channel_flow_daily"], etf, coins, perps)
    for previous, session in zip(NYSE, NYSE[1:], strict=False):
        row = told["STABLE", session]
        days = [day for day in SPAN if previous < day <= session]
        due = [(coin, day) for coin, by_day in coins.items() for day in days if day >= min(by_day)]
        landed = [coins[coin][day] for coin, day in due if day in coins[coin]]
        assert (row["flow_usd"], row["n_days_summed"]) == (sum(landed), len(days))
        assert row["obs_status"] == ("final" if len(landed) == len(due) else "partial")
        assert told["ETF_BTC", session]["flow_usd"] == etf["BTC"][session]
    lacking = [key for key, row in told.items() if row["obs_status"] != "final"]
    assert {channel for channel, _ in lacking} == {"ETF_ETH", "STABLE", "DEX_PERP"}
    assert all(told[key]["score"] is None and told[key]["cum5_usd"] is None for key in lacking)


def test_scores_and_shares_are_those_of_the_card(compiled: dict[str, str]) -> None:
    """Strictly prior sessions, 48 of 60, clipped; shares of twenty whole sessions between those that have them."""
    told = flows(compiled["fct_channel_flow_daily"], *record(2))
    scored = 0
    for channel in ("ETF_BTC", "ETF_ETH", "STABLE", "DEX_PERP"):
        days = sorted(day for name, day in told if name == channel)
        final = {d: told[channel, d]["flow_usd"] for d in days if told[channel, d]["obs_status"] == "final"}
        for n, day in enumerate(days):
            row, prior = told[channel, day], [final[d] for d in days[max(0, n - 60) : n] if d in final]
            last = [final.get(d) for d in days[max(0, n - 19) : n + 1]]
            whole = sum(map(abs, last)) if len(last) == 20 and None not in last else None
            assert (row["gross_20d_usd"], row["n_prior_final"]) == (whole, len(prior))
            if day in final and len(prior) >= 48:
                middle = median(prior)
                spread = 1.4826 * float(median(abs(flow - middle) for flow in prior))
                assert abs(float(row["score"]) - max(-5.0, min(5.0, float(final[day] - middle) / spread))) < 1e-7
                scored += 1
            else:
                assert row["score"] is None and row["score_reason"] in ("not_final", "short_history")
    for day in NYSE:
        shares = [
            row["share_of_gross"] for (_, d), row in told.items() if d == day and row["share_of_gross"] is not None
        ]
        assert not shares or abs(sum(shares) - 1) < Decimal("0.0000001")
    assert scored > 100


def test_a_channel_in_another_unit_has_the_same_scores(compiled: dict[str, str]) -> None:
    """Scale invariance: a thousandfold flow, in every channel or in one, leaves every score where it was."""
    etf, coins, perps = record(3)
    plain = flows(compiled["fct_channel_flow_daily"], etf, coins, perps)
    etf_1000, coins_1000, perps_1000 = record(3, 1000)
    for scaled in (record(3, 1000), (etf, coins_1000, perps), ({**etf, "BTC": etf_1000["BTC"]}, coins, perps_1000)):
        other = flows(compiled["fct_channel_flow_daily"], *scaled)
        assert {key: row["score"] for key, row in other.items()} == {key: row["score"] for key, row in plain.items()}


def test_later_days_change_no_earlier_flow(compiled: dict[str, str]) -> None:
    """No look-ahead: a record that ends earlier gives the same rows up to there."""
    etf, coins, perps = record(4)
    whole = flows(compiled["fct_channel_flow_daily"], etf, coins, perps)
    end = NYSE[-30]
    cut = flows(
        compiled["fct_channel_flow_daily"],
        {asset: {d: f for d, f in by_day.items() if d <= end} for asset, by_day in etf.items()},
        {coin: {d: f for d, f in by_day.items() if d <= end} for coin, by_day in coins.items()},
        {asset: {d: f for d, f in by_day.items() if d <= end} for asset, by_day in perps.items()},
    )
    assert {key: row for key, row in cut.items() if key[1] <= end} == {k: r for k, r in whole.items() if k[1] <= end}
