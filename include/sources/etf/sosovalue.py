"""SoSoValue: net flows of US spot ETFs by session, US dollars to the cent; a compilation apart from Farside's.

The answers come without a key as well; that is observed, not offered in writing. A session is provisional until noon
UTC of the next day, and each call reaches 300 days back.
"""

from datetime import date
from functools import partial
from zoneinfo import ZoneInfo

from include.core.calendars import is_open
from include.core.page import page
from include.core.parse import day, member, not_after, number, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

FEEDS = {
    "history_btc": ("us-btc-spot", "ETF_FLOW.BTC.TOTAL"),
    "history_eth": ("us-eth-spot", "ETF_FLOW.ETH.TOTAL"),
    "fund_ibit": ("Etf_NASDAQ_IBIT", "ETF_FLOW.BTC.IBIT"),
    "fund_fbtc": ("Etf_CBOE_FBTC", "ETF_FLOW.BTC.FBTC"),
}
PERMANENT = ("400", "401", "403", "404")  # leading digits of its codes that another try does not change


def parse(series_id: str, payload: Payload) -> Parsed:
    """One series. `null` is no reading; a zero on a closed day is none either and is dropped (some pulls fill
    weekends with it), while any other figure on a closed day is kept for the gate to hold. Raises `ContractError`."""
    answer = read_json(payload.body)
    code = member(answer, "code", int)
    if code != 0 or isinstance(code, bool):
        kind = "permanent" if str(code).startswith(PERMANENT) else "transient"
        said = str(answer.get("msg") or answer.get("message") or "")[:80]
        raise refuse(
            f"error {code} ({kind}): {said}", "G1.api_error", "check the key" if kind == "permanent" else "wait"
        )
    data = member(answer, "data", object)
    items = data if isinstance(data, list) else member(data, "list", list)
    if not items:
        raise refuse("an empty list", "G1.empty")
    limit = payload.seen_at.astimezone(ZoneInfo("America/New_York")).date()
    cells = {}
    for item in items:
        event_date = not_after(day(member(item, "date", str), "%Y-%m-%d"), limit, "a session of")
        value = member(item, "totalNetInflow", object)
        if cells.setdefault(event_date, value) != value:
            raise refuse(f"two figures for {event_date}", "G1.conflict")
    return page("observation", _rows(series_id, cells), cells)


def _rows(series_id: str, cells: dict[date, object]) -> list[Observation]:
    flows = ((event_date, raw, number(raw)) for event_date, raw in cells.items() if raw is not None)
    return [
        Observation(series_id=series_id, event_date=event_date, value=value, unit="usd", value_raw=str(raw),
                    obs_status="final" if value else "reported_zero", measurement_root="issuers",
                    locator=f"row={event_date} col=totalNetInflow")
        for event_date, raw, value in flows
        if value or is_open("NYSE", event_date)
    ]  # fmt: skip


def _feed(name: str, kind: str, series_id: str) -> Feed:
    return Feed(
        name=name, kind="WINDOW", clock="etf_flows", shape="observation", media="json",
        parse=partial(parse, series_id), restates="window", release=Release("UTC247", 1, "12:00"), revises=True,
        calendar="NYSE", every_s=50 * 60,
        requests=lambda window: [Request("/openapi/v2/etf/historicalInflowChart", method="POST", json={"type": kind})],
        empty_ok="every session may be null: listed, and without a figure yet",
    )  # fmt: skip


SOURCE = Source(
    source_id="sosovalue",
    title="SoSoValue: US spot ETF net inflow",
    base_url="https://api.sosovalue.xyz",
    lineage_root="sosovalue",
    evidence_kind="compilation",
    rank=2,
    licence="SoSoValue API terms bind key users; keyless use has no stated permission",
    credit="SoSoValue",
    verified="recorded",
    min_interval_s=3.0,  # 20 calls a minute on the free plan
    key_env="SOSOVALUE_API_KEY",
    key_header="x-soso-api-key",
    feeds=tuple(_feed(name, kind, series_id) for name, (kind, series_id) in FEEDS.items()),
)
