"""CoinGlass v4: net flows of US spot ETFs by fund and session, US dollars. Needs a paid key.

Its documented figures equal Farside's to the last printed digit, so it is that table re-served: a check of the
transcription, never a second lineage.
"""

from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from include.core.calendars import is_open
from include.core.page import page
from include.core.parse import epoch_ms, member, not_after, number, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

COINS = {"BTC": "bitcoin", "ETH": "ethereum"}


def parse(asset: str, payload: Payload) -> Parsed:
    """Total and funds of each session; a fund without `flow_usd` has no reading. Raises `ContractError`."""
    answer = read_json(payload.body)
    if (code := member(answer, "code", str)) != "0":
        raise refuse(f"error {code[:20]}: {str(answer.get('msg'))[:80]}", "G1.api_error", "check the key, or wait")
    limit = payload.seen_at.astimezone(ZoneInfo("America/New_York")).date()
    rows, days = [], []
    for item in member(answer, "data", list):
        at = epoch_ms(member(item, "timestamp", int))
        if at != datetime(at.year, at.month, at.day, tzinfo=UTC):
            raise refuse(f"not the beginning of a day: {at}", "G1.date")
        days.append(not_after(at.date(), limit, "a session of"))
        cells = [("TOTAL", member(item, "flow_usd", object))]
        cells += [(member(f, "etf_ticker", str), f.get("flow_usd")) for f in member(item, "etf_flows", list)]
        for ticker, raw in cells:
            if not ticker.isascii() or not ticker.isalpha() or not ticker.isupper():
                raise refuse(f"not a ticker: {ticker[:20]!r}", "G1.token")
            if raw is not None and ((value := number(raw)) or is_open("NYSE", days[-1])):
                rows.append(
                    Observation(series_id=f"ETF_FLOW.{asset}.{ticker}", event_date=days[-1], value=value, unit="usd",
                                value_raw=str(raw), obs_status="final" if value else "reported_zero",
                                measurement_root="issuers", locator=f"row={days[-1]} col={ticker}")
                )  # fmt: skip
    if not days:
        raise refuse("no sessions", "G1.empty")
    return page("observation", rows, days)


def _feed(asset: str) -> Feed:
    return Feed(
        name=f"flow_{asset.lower()}", kind="WINDOW", clock="etf_flows", shape="observation", media="json",
        parse=partial(parse, asset), restates="window", release=Release("UTC247", 1, "12:00"), revises=True,
        calendar="NYSE", every_s=50 * 60,
        requests=lambda window: [Request(f"/api/etf/{COINS[asset]}/flow-history")],
        empty_ok="every session may be without a figure yet",
    )  # fmt: skip


SOURCE = Source(
    source_id="coinglass",
    title="CoinGlass: US spot ETF flows",
    base_url="https://open-api-v4.coinglass.com",
    lineage_root="farside",
    evidence_kind="transcription",
    rank=6,
    licence="CoinGlass API terms bind the holder of a paid key",
    credit="CoinGlass",
    verified="documented",
    key_env="COINGLASS_API_KEY",
    key_header="CG-API-KEY",
    key_required=True,
    feeds=tuple(_feed(asset) for asset in COINS),
)
