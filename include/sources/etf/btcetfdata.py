"""btcetfdata.com: coins that US spot Bitcoin ETFs hold, compiled from the issuers' pages; the newest figure only.

Each fund has its own day. `change` is against the fund's own day before and holds fees that are paid in coins; it is
not read. Who operates the site, and under which terms, was not found.
"""

import re
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import above_zero, day, member, not_after, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

_TICKER = re.compile(r"[A-Z]{2,6}", re.ASCII)


def parse(payload: Payload) -> Parsed:
    """Holdings by fund. A fund that is marked as in error, or without a figure, has no row. Raises `ContractError`."""
    limit = payload.seen_at.astimezone(ZoneInfo("America/New_York")).date()
    rows = []
    for ticker, fund in member(read_json(payload.body), "data", dict).items():
        if member(fund, "ticker", str) != ticker or not _TICKER.fullmatch(ticker):
            raise refuse(f"fund {str(fund['ticker'])[:20]!r} under {ticker[:20]!r}", "G1.token")
        event_date = not_after(day(member(fund, "dt", str), "%Y-%m-%d"), limit, f"holdings of {ticker} on")
        held = member(fund, "holdings", object)
        if member(fund, "error", bool) or held is None:
            continue
        rows.append(
            Observation(series_id=f"HOLDING.BTC.{ticker}", event_date=event_date, unit="coin", value_raw=str(held),
                        value=above_zero(held, f"the holding of {ticker}"), locator=f"fund={ticker} key=holdings")
        )  # fmt: skip
    if not rows:
        raise refuse("no fund has a holding", "G1.empty")
    return page("observation", rows, [row.event_date for row in rows])


SOURCE = Source(
    source_id="btcetfdata",
    title="btcetfdata.com: coins held by US spot Bitcoin ETFs",
    base_url="https://www.btcetfdata.com",
    lineage_root="btcetfdata",
    evidence_kind="compilation",
    rank=5,
    licence="no terms found",
    credit="btcetfdata.com",
    verified="recorded",
    feeds=(
        Feed(
            name="current", kind="SNAPSHOT", clock="etf_flows", shape="observation", media="json", parse=parse,
            restates="none", release=Release("UTC247", 1, "23:00"), calendar="NYSE", revises=True, every_s=50 * 60,
            requests=lambda window: [Request("/v1/current.json")],
        ),
    ),
)  # fmt: skip
