"""The capital behind open interest, from the venue's own pages to the channel: landed as recorded, built by the real path.

Every expectation is computed here from the pages that went in.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import duckdb
import pytest

from include.core.clock import parse_instant
from include.sources.chain.hyperliquid_board import WATCHED
from tests.e2e.declared import built, home, land_curated, take_in
from tests.sources.wire import CASES

CLOCK = parse_instant("2026-02-05T23:00:00Z")
DAYS = [parse_instant(f"2026-02-0{n}T22:00:00Z") for n in range(2, 6)]  # Monday to Thursday
INTEREST = {"BTC": ("33120.44120", "33620.44120", "33520.44120", "33520.44120"),
            "ETH": ("612044.4412", "612044.4412", "610044.4412", "600044.4412")}  # fmt: skip
MARK = {"BTC": ("84110.0", "83110.5", "80000.1", "79000.0"), "ETH": ("2950.2", "2900.25", "2850.0", "2800.0")}
STATES = (1, 2)  # the days on which a watched account was seen
BOARDED = 1  # the day on which the board of accounts was seen
LISTED = 2  # a small coin is listed until this day
CENT = Decimal("0.01")


def contexts(n: int) -> bytes:
    """The recorded page with the day's open interest and marks; from some day on a coin is delisted."""
    universe, told = json.loads((CASES / "hyperliquid/contexts__ordinary.json").read_text(encoding="utf-8"))
    for asset, context in zip(universe["universe"], told, strict=True):
        if asset["name"] in INTEREST:
            context |= {"openInterest": INTEREST[asset["name"]][n], "markPx": MARK[asset["name"]][n]}
        elif n >= LISTED:
            asset["isDelisted"] = True
    return json.dumps([universe, told]).encode()


def state(at: datetime) -> dict:
    """The recorded state of an account, at another instant."""
    said = json.loads((CASES / "hyperliquid_accounts/state_hlp_a__ordinary.json").read_text(encoding="utf-8"))
    return said | {"time": int(at.timestamp()) * 1000}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Rows of a statement on what four evenings said."""
    settings = home(tmp_path_factory.mktemp("leverage"), CLOCK)
    land_curated(settings)
    for n, at in enumerate(DAYS):
        assert take_in(settings, "hyperliquid", "contexts", at, contexts(n)) == "LANDED"
        if n in STATES:
            page = json.dumps(state(at)).encode()
            assert take_in(settings, "hyperliquid_accounts", "state_hlp_a", at, page) == "LANDED"
    board = (CASES / "hyperliquid_board/board__ordinary.json").read_bytes()
    assert take_in(settings, "hyperliquid_board", "board", DAYS[BOARDED], board) == "LANDED"
    made = built(settings, "now")
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield lambda sql, *given: con.execute(sql, list(given)).fetchall()


def change(asset: str, n: int) -> Decimal:
    """What was opened on a day at the mark of the day before, to the cent."""
    moved = Decimal(INTEREST[asset][n]) - Decimal(INTEREST[asset][n - 1])
    return (moved * Decimal(MARK[asset][n - 1])).quantize(CENT, ROUND_HALF_UP)


def leverage() -> tuple[Decimal, Decimal]:
    """Notional and equity of the account: its isolated margin, and the equity that its cross positions share."""
    positions = [item["position"] for item in state(DAYS[1])["assetPositions"]]
    equity = [Decimal(p["marginUsed"]) for p in positions if p["leverage"]["type"] == "isolated"]
    equity.append(Decimal(state(DAYS[1])["crossMarginSummary"]["accountValue"]))
    return sum(Decimal(p["positionValue"]) for p in positions), sum(equity)


def test_capital_is_the_change_over_what_stands_behind_watched_notional(ask) -> None:
    """Day by day: nothing before the second day, an estimate where an account was watched, a reason where none was."""
    notional, equity = leverage()
    for asset in INTEREST:
        told = ask(
            """select event_date, notional_change_usd, capital_flow_usd, capital_flow_reason, leverage_tracked
            from marts.fct_derivative_oi_daily where venue = 'HYPERLIQUID' and asset = $1 order by 1""",
            asset,
        )
        assert told[0][1:] == (None, None, "no_reading_before", None)
        for n, (day, moved, capital, why, effective) in enumerate(told[1:], 1):
            assert (day, moved) == (DAYS[n].date(), change(asset, n))
            if n in STATES:
                assert abs(effective - notional / equity) < Decimal("0.00001")
                assert abs(capital - moved * equity / notional) <= abs(moved) * Decimal("0.000001") + CENT
                assert why is None
            else:
                assert (capital, effective, why) == (None, None, "no_effective_leverage")


def test_the_channel_adds_up_the_coins_that_the_venue_lists(ask) -> None:
    """A session a day; a coin that is no longer listed makes none of them partial; the estimate is D and in no index."""
    told = ask("""select session_date, notional_change_usd, flow_usd, flow_reason, obs_status, grade, is_estimate
        from marts.fct_channel_flow_daily where channel = 'DEX_PERP' order by 1""")
    assert [row[0] for row in told] == [at.date() for at in DAYS[1:]]
    for n, (_, moved, flow, why, status, *rest) in enumerate(told, 1):
        assert moved == sum(change(asset, n) for asset in INTEREST)
        ((capital,),) = ask("select sum(capital_flow_usd) from marts.fct_derivative_oi_daily "
                            "where venue = 'HYPERLIQUID' and event_date = $1", DAYS[n].date())  # fmt: skip
        assert flow == capital and rest == ["D", True]
        assert (status, why) == (("final", None) if n in STATES else ("not_yet", "no_effective_leverage"))
    ((label, change_it),) = ask("select label, would_change_it from marts.mart_capital_migration_daily "
                                "order by session_date desc limit 1")  # fmt: skip
    assert label == "INSUFFICIENT"
    assert "measured figure of grade C or better" in change_it and "DEX_PERP (an estimate, grade D)" in change_it


def test_nothing_later_than_its_inputs_is_said_to_be_known_before_them(ask) -> None:
    """An estimate is known once the last of its pages was: reading, the one before it, state."""
    told = ask("""select event_date, known_from, capital_known_from from marts.fct_derivative_oi_daily
        where venue = 'HYPERLIQUID' and asset = 'BTC' order by 1""")
    assert told[0][2] is None
    assert [(known.date(), capital) for _, known, capital in told[1:]] == [(at.date(), at) for at in DAYS[1:]]
    assert DAYS[-1] < CLOCK < DAYS[-1] + timedelta(days=1)


def test_the_first_screen_tells_the_estimate_as_one(ask) -> None:
    """Two lines, of the newest day: a gap in words, since no account was watched on it."""
    told = ask("select headline, value, value_text, grade from marts.mart_daily_brief "
               "where headline like 'Capital behind%' order by headline_no")  # fmt: skip
    assert [row[0] for row in told] == [
        f"Capital behind {a} open interest on Hyperliquid, 2026-02-05" for a in ("BTC", "ETH")
    ]
    assert all(row[1] is None and "no effective leverage" in row[2] and row[3] == "D" for row in told)


def test_the_board_stands_from_the_day_on_which_it_was_seen(ask) -> None:
    """Nothing before that day; then its equity and two shares of it, known when the board was, whatever the reading."""
    said = json.loads((CASES / "hyperliquid_board/board__ordinary.json").read_text(encoding="utf-8"))
    equity = {row["ethAddress"].lower(): Decimal(row["accountValue"]) for row in said["leaderboardRows"]}
    total, watched = sum(equity.values()), [equity[a] for _, a in WATCHED if a in equity]
    shares = [sum(sorted(equity.values())[-10:]) / total, sum(watched) / total]
    for asset in INTEREST:
        told = ask(
            """select event_date, known_from, board_known_from, board_equity_usd, board_top10_share, tracked_equity_share
            from marts.fct_derivative_oi_daily where venue = 'HYPERLIQUID' and asset = $1 order by 1""",
            asset,
        )
        assert [row[2:] for row in told[:BOARDED]] == [(None,) * 4] * BOARDED
        assert len(told) == len(DAYS) and len(watched) == 2
        for at, (_, known, board_known, listed, *found) in zip(DAYS[BOARDED:], told[BOARDED:], strict=True):
            assert (known, board_known, listed) == (at, DAYS[BOARDED], total.quantize(CENT, ROUND_HALF_UP))
            assert found == [share.quantize(Decimal("1e-8"), ROUND_HALF_UP) for share in shares]
    assert ask("select value_text, grade, reading from marts.mart_daily_brief where headline like 'Equity of the acc%'") == [
        ("1509.0 m USD, the ten largest 30.3 %", "C", "listed accounts only: who was liquidated or has left is not on the board")
    ]  # fmt: skip
    assert ask("select count(*) from marts.fct_observation where locator like '%0x%' or series_id like '%0X%'") == [
        (0,)
    ]
