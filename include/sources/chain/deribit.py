"""Deribit: open interest in US dollars, mark price and eight-hour funding of the coin-margined perpetuals now.

The book summary lists dated futures too; their open interest is another product's and is left out. Numbers are JSON
numbers, read exactly. There is no history of it: a snapshot that was missed stays a gap.
"""

from include.core.page import page, reading
from include.core.parse import above_zero, at_least_zero, member, number, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

ASSETS = ("BTC", "ETH")
READINGS = (("OI_USD", "open_interest", "usd", at_least_zero), ("MARK", "mark_price", "usd", above_zero),
            ("FUNDING", "funding_8h", "ratio_per_8h", lambda text, _: number(text)))  # fmt: skip


def parse(payload: Payload) -> Parsed:
    """The perpetual of the currency that was asked for. Raises `ContractError`."""
    answer = read_json(payload.body)
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        said = " ".join(str(answer["error"].get("message")).split())[:120]
        raise refuse(f"error {str(answer['error'].get('code'))[:20]}: {said}", "G1.api_error", "wait, and ask again")
    rows = []
    for item in member(answer, "result", list):
        name = member(item, "instrument_name", str)
        asset = name.removesuffix("-PERPETUAL")
        if asset == name or asset not in ASSETS:
            continue
        for family, key, unit, read in READINGS:
            raw = str(member(item, key, object))
            rows.append(reading(payload, f"{family}.DERIBIT.{asset}", read(raw, f"{key} of {asset}"), unit, raw,
                                payload.seen_at, f"instrument_name={name} key={key}"))  # fmt: skip
    if not rows:
        raise refuse("no perpetual among the instruments", "G1.empty")
    return page("observation", rows, [row.event_date for row in rows])


def requests(_: Window) -> list[Request]:
    """Everything now, a call a currency."""
    return [Request("/api/v2/public/get_book_summary_by_currency", (("currency", asset), ("kind", "future")))
            for asset in ASSETS]  # fmt: skip


SOURCE = Source(
    source_id="deribit",
    title="Deribit: open interest, mark price and funding of perpetuals",
    base_url="https://www.deribit.com",
    lineage_root="deribit",
    evidence_kind="measurement",
    rank=1,
    licence="Deribit terms of service",
    credit="Deribit",
    verified="documented",
    feeds=(
        Feed(
            name="perpetuals", kind="SNAPSHOT", clock="derivatives", shape="observation", media="json", parse=parse,
            restates="none", release=Release("UTC247", 1, "00:05"), requests=requests, every_s=3600,
        ),
    ),
)  # fmt: skip
