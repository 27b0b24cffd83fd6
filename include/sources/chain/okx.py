"""OKX USDT swaps: open interest a day, funding every eight hours, and liquidation orders of the last hours.

Errors come with HTTP 200 and a `code` other than "0". A liquidation's dollars are contracts x coins a contract x
bankruptcy price. They are kept for some hours to a week: what is landed is what was observed here, no market's total.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from include.core.errors import ContractError
from include.core.page import page, reading
from include.core.parse import CONTEXT, above_zero, at_least_zero, epoch_ms, member, number, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

# Coins a contract, by the venue's instrument list. Every page of open interest states both, and is held against it.
CONTRACT = {"BTC": Decimal("0.01"), "ETH": Decimal("0.1"), "SOL": Decimal(1)}
PAGE = 100  # rows an answer holds at most, newest first
DAY = timedelta(days=1)


def _data(body: bytes, *, may_be_empty: bool = False) -> list:
    answer = read_json(body)
    code = member(answer, "code", str)
    if code != "0":
        said = " ".join(str(answer.get("msg")).split())[:120]
        raise refuse(f"error {code[:20]!r}: {said}", "G1.api_error", "wait, and ask again")
    if not member(answer, "data", list) and not may_be_empty:
        raise refuse("no rows", "G1.empty")
    return answer["data"]


def _asset(item: object) -> str:
    inst_id = member(item, "instId", str)
    asset = inst_id.removesuffix("-USDT-SWAP")
    if asset not in CONTRACT or asset == inst_id:
        raise refuse(f"a row of {inst_id[:20]!r}, which was not asked for", "G1.token")
    return asset


def parse_interest(asset: str, payload: Payload) -> Parsed:
    """Rows `[ts, contracts, coins, dollars]`, stamped as their day begins and moving until it ends: a day that lasts
    has none. Raises `ContractError`."""
    rows = []
    for item in _data(payload.body):
        if len(member(item, None, list)) < 4:
            raise refuse(f"{len(item)} cells where stamp, contracts, coins and dollars are due", "G1.columns")
        event_at = epoch_ms(member(item[0], None, str), every_hours=24)
        contracts, coins = (at_least_zero(member(cell, None, str), asset) for cell in item[1:3])
        if abs(CONTEXT.multiply(contracts, CONTRACT[asset]) - coins) > coins * Decimal("0.001"):
            raise refuse(f"a contract of {asset} is not {CONTRACT[asset]} coins", "G1.identity")
        if event_at <= payload.seen_at < event_at + DAY:
            continue
        for at, family, unit in ((2, "OI", "coin"), (3, "OI_USD", "usd")):
            raw = member(item[at], None, str)
            rows.append(reading(payload, f"{family}.OKX.{asset}", at_least_zero(raw, f"{family} of {asset}"), unit, raw,
                                event_at, f"ts={item[0]} cell={at}"))  # fmt: skip
    return page("observation", rows, [row.event_date for row in rows])


def parse_funding(payload: Payload) -> Parsed:
    """Rates that were paid every eight hours, as fractions of the notional. Raises `ContractError`."""
    rows = []
    for item in _data(payload.body):
        asset, raw = _asset(item), member(item, "realizedRate", str)
        event_at = epoch_ms(member(item, "fundingTime", str), every_hours=8)
        rows.append(reading(payload, f"FUNDING.OKX.{asset}", number(raw), "ratio_per_8h", raw, event_at,
                            f"instId={item['instId']} at={event_at:%Y-%m-%dT%HZ}"))  # fmt: skip
    return page("observation", rows, [row.event_date for row in rows])


def parse_liquidations(payload: Payload) -> Parsed:
    """Forced orders in US dollars by the side closed, a row a side and millisecond. Raises `ContractError`."""
    orders: dict[tuple[str, str, datetime], dict[str, str]] = {}
    for group in _data(payload.body, may_be_empty=True):
        asset = _asset(group)
        if not member(group, "details", list):
            raise refuse(f"no orders of {asset}", "G1.empty")
        for item in group["details"]:
            side, event_at = member(item, "posSide", str), epoch_ms(member(item, "ts", str))
            if side not in ("long", "short"):
                raise refuse(f"position side {side[:20]!r}", "G1.token")
            sizes = orders.setdefault((asset, side, event_at), {})
            price, size = member(item, "bkPx", str), member(item, "sz", str)
            if sizes.setdefault(price, size) != size:
                raise refuse(f"two sizes of one order at {event_at:%Y-%m-%dT%H:%M:%SZ}", "G1.conflict")
    rows = [
        reading(payload, f"LIQ.OKX.{asset}.{side.upper()}", _dollars(asset, sizes), "usd",
                " + ".join(sizes[price] for price in sorted(sizes)), event_at,
                f"ts={event_at:%Y-%m-%dT%H:%M:%S.%fZ} sz at bkPx {', '.join(sorted(sizes))}")
        for (asset, side, event_at), sizes in orders.items()
    ]  # fmt: skip
    return page("observation", rows, [row.event_date for row in rows])


def _dollars(asset: str, sizes: dict[str, str]) -> Decimal:
    coins = ((price, CONTEXT.multiply(at_least_zero(size, "size"), CONTRACT[asset])) for price, size in sizes.items())
    return number(sum(CONTEXT.multiply(n, above_zero(price, "bankruptcy price")) for price, n in coins))


def interest(asset: str, window: Window) -> list[Request]:
    """UTC days of one swap, 90 a call; both bounds are exclusive."""
    path = "/api/v5/rubik/stat/contracts/open-interest-history"
    fixed = (("instId", f"{asset}-USDT-SWAP"), ("period", "1Dutc"), ("limit", str(PAGE)))
    spans = ((("begin", str(start - 1)), ("end", str(end + 1))) for start, end in window.slices(90))
    return [Request(path, (*fixed, *span)) for span in spans]


def funding(window: Window) -> list[Request]:
    """Funding, 30 days of three rates a call; `before` and `after` are exclusive, and `after` is the later end."""
    path, slices = "/api/v5/public/funding-rate-history", list(window.slices(30))
    spans = [(("before", str(start - 1)), ("after", str(end + 1)), ("limit", str(PAGE))) for start, end in slices]
    return [Request(path, (("instId", f"{asset}-USDT-SWAP"), *span)) for span in spans for asset in CONTRACT]


def liquidations(_: Window) -> list[Request]:
    """The newest page of each swap; older ones follow."""
    fixed = (("instType", "SWAP"), ("state", "filled"), ("limit", str(PAGE)))
    return [Request("/api/v5/public/liquidation-orders", (*fixed, ("instFamily", f"{a}-USDT"))) for a in CONTRACT]


def next_page(request: Request, body: bytes) -> Request | None:
    """A full page is followed by the one before its oldest order."""
    try:
        stamps = [int(item["ts"]) for group in _data(body) for item in group["details"]]
    except (ContractError, KeyError, TypeError, ValueError):
        stamps = []  # the page itself was refused when it was parsed
    if len(stamps) < PAGE:
        return None
    kept = tuple(pair for pair in request.params if pair[0] != "after")
    return Request(request.path, (*kept, ("after", str(min(stamps)))))


_COMMON = {"clock": "derivatives", "shape": "observation", "media": "json", "restates": "none",
           "release": Release("UTC247", 1, "00:05")}  # fmt: skip
SOURCE = Source(
    source_id="okx", title="OKX USDT swaps: open interest, funding, liquidation orders", base_url="https://www.okx.com",
    lineage_root="okx", evidence_kind="measurement", rank=1, licence="OKX API terms of use", credit="OKX",
    verified="documented",
    feeds=(
        *(Feed(name=f"open_interest_{asset.lower()}", kind="WINDOW", parse=partial(parse_interest, asset),
               requests=partial(interest, asset), every_s=6 * 3600, history_days=10, parser_version="2", **_COMMON)
          for asset in CONTRACT),
        Feed(name="funding", kind="WINDOW", parse=parse_funding, requests=funding, every_s=4 * 3600, history_days=10,
             first_history_days=89, **_COMMON),
        Feed(name="liquidations", kind="SNAPSHOT", parse=parse_liquidations, requests=liquidations, follow=next_page,
             every_s=1800, empty_ok="no position was liquidated in the span", **_COMMON),
    ),
)  # fmt: skip
